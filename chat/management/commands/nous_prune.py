"""`manage.py nous_prune`: erase everything that is due to be erased, at once."""

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone
from msgspec.structs import asdict

from ... import store

REPORT_EVERY = 10_000
"""Conversations between two lines of progress."""


class Command(BaseCommand):
    help = "Erase what is deleted or older than RETENTION allows, in short transactions. It can be stopped at any time."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="only say what would be erased")
        parser.add_argument("--json", action="store_true", help="print numbers as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        now = timezone.now()
        held = store.count_held(now)
        erased = store.plan_pruning(now) if options["dry_run"] else self._prune(now, quiet=options["json"])
        numbers = {name: number for name, number in asdict(erased).items() if name != "rows"} | {"held": held}
        if options["json"]:
            self.stdout.write(json.dumps({"dry_run": options["dry_run"], **numbers}))
            return
        self.stdout.write("Would erase:" if options["dry_run"] else "Erased:")
        for name, number in numbers.items():
            self.stdout.write(f"  {name}: {number:,}" + (" (kept)" if name == "held" else ""))

    def _prune(self, now: Any, quiet: bool) -> store.Erased:
        total, reported = store.Erased(), 0
        for erased in store.give_way(store.prune(now)):
            total += erased
            if not quiet and total.conversations >= reported + REPORT_EVERY:
                reported = total.conversations
                self.stdout.write(f"{reported:,} conversations")
        return total
