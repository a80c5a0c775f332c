"""`manage.py nous_import FILE`: import conversations that nous_export has written."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from ... import store

MAX_REPORTED = 100
"""How many conversations that are not imported are named."""


class Command(BaseCommand):
    help = "Import an export in JSON Lines. Conversations that are there already are skipped; users are created."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file")

    def handle(self, *args: Any, **options: Any) -> None:
        numbers = {"imported": 0, "skipped": 0, "failed": 0}
        try:
            with Path(options["file"]).open("rb") as file:
                for outcome in store.import_lines(file):
                    numbers[outcome.status] += 1
                    if outcome.status != "imported" and numbers[outcome.status] <= MAX_REPORTED:
                        self._report(outcome)
        except OSError as error:
            raise CommandError(f"{options['file']} cannot be read: {error.strerror}.") from None
        except store.BadLine as error:
            raise CommandError(f"Line {error.number}: {error}.") from None
        self.stdout.write(", ".join(f"{number} {status}" for status, number in numbers.items()) + ".")
        if numbers["failed"]:
            raise CommandError("Not everything was imported. Mend the lines, and import the file again.")

    def _report(self, outcome: store.Imported) -> None:
        about = f"Line {outcome.line}"
        if outcome.conversation:
            about += f", conversation {outcome.conversation}"
        self.stderr.write(f"{about}: {outcome.error.rstrip('.') or 'is there already'}.")
