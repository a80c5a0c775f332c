"""`manage.py nous_token USERNAME`: create an API token and print it, alone on a line."""

from argparse import ArgumentParser
from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError

from ... import store
from ...protocol.errors import Refused


class Command(BaseCommand):
    help = "Create an API token for a user, and print it. Only its hash is stored, so it cannot be shown again."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("username")
        parser.add_argument("--name", default="nous_token", help="what the token is for")
        parser.add_argument(
            "--scopes", default="read,write", choices=["read,write", "read", "write"], help="what it may do"
        )
        parser.add_argument("--days", type=int, help="expires after that many days; default: never")

    def handle(self, *args: Any, **options: Any) -> None:
        users = get_user_model()
        try:
            user = users._default_manager.get_by_natural_key(options["username"])
        except users.DoesNotExist:
            raise CommandError(f"There is no user {options['username']!r}.") from None
        if options["days"] is not None and options["days"] < 1:
            raise CommandError("--days must be 1 or more.")
        try:
            token = store.create_token(user.pk, options["name"], options["scopes"].replace(",", " "), options["days"])
        except Refused as refused:
            raise CommandError(str(refused)) from None
        self.stdout.write(token)
