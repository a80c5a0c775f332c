"""`manage.py nous_erase USERNAME`: erase a user, what they wrote, and their name."""

import json
import time
from argparse import ArgumentParser
from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError

from ... import store
from ...models import Run
from ...protocol.errors import Refused
from .nous_export import find_user

STOPPED_WITHIN = 15.0
"""How many seconds servers get to stop the answers that the user has asked for."""


class Command(BaseCommand):
    help = "Erase a user with what they wrote, their files, and their name. Bills keep their figures. No way back."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("username")
        parser.add_argument("--dry-run", action="store_true", help="only say what would be erased")
        parser.add_argument("--json", action="store_true", help="print numbers as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        user = get_user_model()._default_manager.get(pk=find_user(options["username"]))
        try:
            numbers = store.plan_erasure(user) if options["dry_run"] else _erase(user)
        except Refused as refused:
            raise CommandError(str(refused)) from None
        if options["json"]:
            self.stdout.write(json.dumps({"dry_run": options["dry_run"], **numbers}))
            return
        self.stdout.write("Would erase:" if options["dry_run"] else "Erased:")
        for name, number in numbers.items():
            self.stdout.write(f"  {name}: {number:,}")


def _erase(user: Any) -> dict[str, int]:
    until = time.monotonic() + STOPPED_WITHIN
    while True:
        try:
            *_, numbers = store.give_way(store.erase_user(user))
            return numbers
        except Refused:
            active = Run.objects.filter(launched_by=user, status__in=Run.ACTIVE)
            if time.monotonic() > until or not active.exists():
                raise
        time.sleep(1)
