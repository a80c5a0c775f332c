"""`manage.py nous_doctor URL`: look at a live site as a client would, and say what is wrong and what to change."""

import argparse
import asyncio
import getpass
import sys
from typing import Any

import msgspec
from django.core.management.base import BaseCommand

from ...engine.printable import printable
from ...monitoring.doctor import IDLE, Measured, Report, knows_session, look_inside, visit
from ...node import node

NAMES = {
    "round_trip": "A frame goes there and back in",
    "first_token": "The first piece of the answer comes after",
    "lag": "While it streams, a frame goes there and back in at most",
}


class Command(BaseCommand):
    help = "Visit a live site, stream an answer, and say what is wrong with it. Exits with 1 if anything is."
    requires_system_checks = ()  # works even if the site does not

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("url", help="where a browser finds the site or its chat: https://chat.example.org/")
        parser.add_argument("--username", required=True, help="an account that may use the chat")
        parser.add_argument("--password", help="its password (default: asks for it)")
        parser.add_argument("--json", action="store_true", help="print {ok, findings, measured} as JSON")
        parser.add_argument(
            "--idle",
            type=float,
            default=IDLE,
            metavar="SECONDS",
            help="how long a quiet socket must stay open (default: %(default)g)",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        password = options["password"] or getpass.getpass()
        report = Report(Measured())
        cookies = asyncio.run(visit(options["url"], options["username"], password, options["idle"], report))
        is_here = knows_session(cookies)
        if is_here:
            asyncio.run(_look_inside(report))
        if options["json"]:
            found = {"ok": not report.findings, "findings": report.findings, "measured": report.measured}
            self.stdout.write(printable(msgspec.json.encode(found).decode()))
        else:
            self._show(report)
        if not is_here:
            self.stderr.write(
                "Redis, the processes' clocks, and the providers were not looked at: this command does not have the "
                "settings of that site."
            )
        if report.findings:
            sys.exit(1)

    def _show(self, report: Report) -> None:
        for name, text in NAMES.items():
            if (seconds := getattr(report.measured, name)) is not None:
                self.stdout.write(f"{text} {seconds * 1000:.0f} ms.")
        for finding in report.findings:
            self.stdout.write(printable(f"\n{finding.code}: {finding.message}\n  {finding.fix}"))
        if not report.findings:
            self.stdout.write("Nothing is wrong.")


async def _look_inside(report: Report) -> None:
    await look_inside(report, node.current().reporter.gather)
