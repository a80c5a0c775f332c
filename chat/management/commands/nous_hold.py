"""`manage.py nous_hold`: place and release legal holds, and list those that are active."""

from argparse import ArgumentParser
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError

from ... import store
from ...models import Hold
from ...protocol.errors import Refused
from .nous_export import find_user


class Command(BaseCommand):
    help = "Keep a conversation, or all of a user's, until the hold is released; without options, list holds."

    def add_arguments(self, parser: ArgumentParser) -> None:
        what = parser.add_mutually_exclusive_group()
        what.add_argument("--conversation", type=UUID, help="hold the conversation with this id")
        what.add_argument("--user", help="hold all conversations that this user is in or has written in")
        what.add_argument("--release", type=UUID, help="end the hold with this id")
        parser.add_argument("--reason", default="", help="why; it is kept with the hold")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            if options["release"]:
                store.release_hold(None, options["release"], options["reason"])
            elif options["conversation"] or options["user"]:
                user = find_user(options["user"])
                key = store.place_hold(None, options["reason"], conversation=options["conversation"], user=user)
                self.stdout.write(str(key))
            else:
                for hold in Hold.objects.filter(released_at=None).select_related("user", "placed_by"):
                    about = hold.conversation_id or hold.user
                    by = hold.placed_by or "the command line"
                    self.stdout.write(f"{hold.pk}  {hold.placed_at:%Y-%m-%d}  {about}  by {by}: {hold.reason}")
        except Refused as refused:
            raise CommandError(str(refused)) from None
