"""`manage.py nous_clean`: erase deleted data that can no longer be restored, and unsent files.

Servers do the same from time to time; the command is for a timer of the site's own.
"""

from typing import Any

from django.core.management.base import BaseCommand

from ... import store


class Command(BaseCommand):
    help = "Erase deleted messages and conversations that can no longer be restored, and uploaded files never sent."

    def handle(self, *args: Any, **options: Any) -> None:
        total = sum(store.give_way(iter(store.erase_expired, 0)))
        self.stdout.write(f"Erased {total} rows.")
