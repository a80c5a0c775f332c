"""`manage.py nous_reap`: mark the runs of dead processes as interrupted.

Servers do the same with each heartbeat; the command is for when none of them runs, or for a timer of the site's own.
"""

import argparse
import time
from typing import Any

from asgiref.sync import async_to_sync
from django.core.management.base import BaseCommand

from ... import store
from ...conf import conf
from ...realtime import inbox
from ...runs import supervisor
from ...store import executor


class Command(BaseCommand):
    help = "Mark the running answers of dead processes as interrupted. Queued ones wait for the next process."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument(
            "--now",
            action="store_true",
            help="do not wait HOST_TIMEOUT seconds for heartbeats; after a database outage, live processes are late",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if not options["now"]:
            time.sleep(conf.HOST_TIMEOUT)
        self.stdout.write(f"{async_to_sync(_reap)()} marked as interrupted.")


async def _reap() -> int:
    reaped = await supervisor.reap_and_publish(await executor.run(store.find_silent_runs))
    for finished in reaped:
        await inbox.announce(finished.run.conversation)
    return len(reaped)
