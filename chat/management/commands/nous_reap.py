"""`python manage.py nous_reap`: take from processes that are gone what they left behind. The chat's processes do so by
themselves; this is for when none of them runs, or for a timer of one's own.
"""

import argparse
import time
from typing import Any

from asgiref.sync import async_to_sync
from django.core.management.base import BaseCommand

from ... import store
from ...conf import conf
from ...protocol import events
from ...realtime import groups, inbox


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
        reaped = store.reap_runs()
        for finished in reaped:
            async_to_sync(_tell)(finished)
        self.stdout.write(f"{len(reaped)} marked as interrupted.")


async def _tell(finished: store.FinishedRun) -> None:
    group = groups.conversation(finished.run.conversation)
    await groups.publish(group, events.RunFinished.of(finished.run, finished.message))
    await inbox.announce(finished.run.conversation)
