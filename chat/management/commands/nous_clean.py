"""`manage.py nous_clean`: erase what was deleted and can no longer be restored, and files that were never sent. Servers
do the same by themselves, now and then."""

from typing import Any

from django.core.management.base import BaseCommand

from ... import store


class Command(BaseCommand):
    help = "Erase what was deleted and can no longer be restored, and files that were uploaded and never sent."

    def handle(self, *args: Any, **options: Any) -> None:
        total = 0
        while done := store.erase_expired():
            total += done
        self.stdout.write(f"{total} rows erased.")
