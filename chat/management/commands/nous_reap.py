"""`python manage.py nous_reap`: take from processes that are gone what they left behind. The chat's processes do so by
themselves; this is for when none of them runs, or for a timer of one's own.
"""

import argparse
import time
from typing import Any

from asgiref.sync import async_to_sync
from django.core.management.base import BaseCommand

from ...conf import conf
from ...realtime import inbox
from ...runs import supervisor


class Command(BaseCommand):
    help = "Mark answers `interrupted` whose process is gone; what had not begun is left to the next process."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument(
            "--now",
            action="store_true",
            help="do not wait HOST_TIMEOUT seconds for signs of life; after an outage of the database they are late",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if not options["now"]:
            time.sleep(conf.HOST_TIMEOUT)
        self.stdout.write(f"{async_to_sync(_reap)()} marked as interrupted.")


async def _reap() -> int:
    reaped = await supervisor.reap_and_publish()
    for finished in reaped:
        await inbox.announce(finished.run.conversation)
    return len(reaped)
