"""`manage.py nous_showcase`: fill an empty site with made-up conversations."""

import time
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from ... import store
from ...models import Conversation

REPORT_EVERY = 10.0
"""Seconds between two lines of progress."""


class Command(BaseCommand):
    help = "Make a believable site: people, conversations, runs with tokens and costs, failures, documents."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--conversations", type=int, default=1000)
        parser.add_argument("--messages", type=int, default=10_000, help="in all conversations together")
        parser.add_argument("--seed", type=int, default=1, help="another number makes another site")
        parser.add_argument("--add", action="store_true", help="even if the site has conversations already")

    def handle(self, *args: Any, **options: Any) -> None:
        conversations, messages = options["conversations"], options["messages"]
        if conversations < 1 or messages < 0:
            raise CommandError("--conversations must be 1 or more, and --messages 0 or more.")
        if not options["add"] and Conversation.objects.exists():
            raise CommandError("This site has conversations. With --add, made-up ones are put between them.")
        begun = reported = time.monotonic()
        for done in store.fill_showcase(conversations, messages, options["seed"]):
            if time.monotonic() - reported > REPORT_EVERY:
                reported = time.monotonic()
                self.stdout.write(f"{done:,} of {conversations:,} conversations")
        seconds = time.monotonic() - begun
        self.stdout.write(f"Made {conversations:,} conversations with {messages:,} messages in {seconds:.0f} s.")
