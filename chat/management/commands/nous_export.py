"""`manage.py nous_export`: write conversations to a file."""

import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any, BinaryIO
from uuid import UUID

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError

from ... import store
from ...models import Conversation


class Command(BaseCommand):
    help = "Export conversations: as JSON Lines, which nous_import reads, or as Markdown or HTML, for people."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--output", required=True, help="the file to write; - for standard output")
        parser.add_argument("--conversation", type=UUID, help="only the conversation with this id")
        parser.add_argument("--user", help="only conversations of this user, for them: without what only staff may see")
        parser.add_argument("--format", choices=list(store.EXPORT_FORMATS), default="jsonl")

    def handle(self, *args: Any, **options: Any) -> None:
        scope = store.Scope(options["conversation"], find_user(options["user"]))
        if scope.conversation is not None and not Conversation.objects.filter(pk=scope.conversation).exists():
            raise CommandError(f"There is no conversation {scope.conversation}.")
        pieces = store.export(scope, options["format"])
        if options["output"] == "-":
            _write(sys.stdout.buffer, pieces)
            return
        path = Path(options["output"])
        partial = path.with_name(f"{path.name}.partial")
        try:
            with partial.open("wb") as file:
                _write(file, pieces)
            partial.replace(path)
        except OSError as error:
            raise CommandError(f"{path} cannot be written: {error.strerror}.") from None
        finally:
            partial.unlink(missing_ok=True)


def _write(file: BinaryIO, pieces: Any) -> None:
    for piece in pieces:
        file.write(piece)


def find_user(name: str | None) -> Any:
    """The key of a user by their username. Raises CommandError."""
    if name is None:
        return None
    users = get_user_model()
    try:
        return users._default_manager.get_by_natural_key(name).pk
    except users.DoesNotExist:
        raise CommandError(f"There is no user {name!r}.") from None
