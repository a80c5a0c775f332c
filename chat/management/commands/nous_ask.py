"""`manage.py nous_ask "prompt"`: ask a model in the terminal, without a site, database, or browser.

For trying a model and its key, and for seeing what a provider really sends. Control characters are written out, in a
terminal and in a pipe: what is piped into a file is often shown in a terminal later. `--jsonl` and `--record` keep what
they mean.
"""

import argparse
import asyncio
import logging
import os
import sys
import time
from contextlib import aclosing
from pathlib import Path
from typing import Any

import msgspec
from django.core.management.base import BaseCommand

from ... import agents
from ...engine import Agent, Error, Event, Fallback, Finish, RetryWait, TextDelta, ToolCall, run_stream
from ...engine.printable import printable
from ...engine.providers.recording import Recording, recording
from ...logs import LineFormatter


class Command(BaseCommand):
    help = "Ask a model and print its answer as it streams. Exits with 1 if it fails, and with 130 after Ctrl-C."
    requires_system_checks = ()  # works even if the site does not

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("prompt")
        parser.add_argument("--model", help="provider:model (default: the site's default model)")
        parser.add_argument("--instructions", default="", help="instructions for the model (system prompt)")
        parser.add_argument("--jsonl", action="store_true", help="print each event as a line of JSON")
        parser.add_argument(
            "--debug", action="store_true", help="print what the provider sends on stderr, with timestamps"
        )
        parser.add_argument(
            "--record",
            metavar="FILE",
            type=Path,
            help="record what the provider sends to FILE.sse and FILE.json; --model demo:FILE.sse replays it",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if options["debug"]:
            _show_raw_events()
        agent = Agent(
            options["model"] or _default_model(), instructions=options["instructions"], environ=agents.environ()
        )
        try:
            ok = asyncio.run(self._ask(agent, options["prompt"], jsonl=options["jsonl"], record=options["record"]))
        except KeyboardInterrupt:
            self.stderr.write("")
            sys.exit(130)
        except BrokenPipeError:  # the reader is gone (`| head`); Python must not flush the rest into its pipe at exit
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(141)
        if not ok:
            sys.exit(1)

    async def _ask(self, agent: Agent, prompt: str, *, jsonl: bool, record: Path | None) -> bool:
        """Print the stream. Returns True if it completed. Ctrl-C cancels this task, which closes the connection."""
        tape = Recording()
        if record:
            recording.set(tape)
        async with aclosing(run_stream(agent, prompt)) as stream:
            async for event in stream:
                if isinstance(event, RetryWait):
                    self.stderr.write(f"The model is busy. Asking again in {event.seconds:.0f} s ...")
                elif isinstance(event, Fallback):
                    self.stderr.write(f"The model does not answer ({event.code}). Asking {event.model} ...")
                elif jsonl:
                    self.stdout.write(_line(event))
                else:
                    self._show(event)
                self.stdout.flush()
        if record and isinstance(event, Finish | Error):
            self._record(tape, record, event)
        return isinstance(event, Finish)

    def _record(self, tape: Recording, path: Path, end: Finish | Error) -> None:
        try:
            file = tape.write(path, end.result, end.error if isinstance(end, Error) else None)
        except (OSError, ValueError) as error:
            self.stderr.write(f"The recording could not be written: {error}.")
        else:
            self.stderr.write(f"Recorded. Replay it with --model demo:{file}")

    def _show(self, event: Event) -> None:
        match event:
            case TextDelta(text):
                self.stdout.write(printable(text), ending="")
            case Finish(result):
                self.stdout.write("")
                if result.refusal:
                    self.stderr.write(printable(result.refusal))
            case Error(error):
                self.stdout.write("")
                seconds = getattr(error, "retry_after", None)
                self.stderr.write(f"{error.detail} Try again in {seconds:.0f} s." if seconds else error.detail)


def _line(event: Event) -> str:
    """An event as JSON. The last one is flat, so that scripts find everything on one line."""
    flat: object = event
    match event:
        case ToolCall():
            flat = {"type": "tool_call", "id": event.received_id, "name": event.name, "arguments": event.arguments}
            flat |= {"raw": event.raw}
        case Finish(result):
            calls = [
                {"id": call.received_id, "name": call.name, "arguments": call.arguments} for call in result.tool_calls
            ]
            flat = {
                "type": "finish",
                "text": result.text,
                "thinking": result.thinking,
                "tool_calls": calls,
                "finish_reason": result.finish_reason,
                "refusal": result.refusal,
                "usage": result.usage,
            }
        case Error(error, result):
            flat = {
                "type": "error",
                "code": error.code,
                "message": error.message,
                "detail": error.detail,
                "status": getattr(error, "status", None),
                "retry_after": getattr(error, "retry_after", None),
                "text": result.text,
            }
    return printable(msgspec.json.encode(flat).decode())


def _default_model() -> str:
    from ...conf import conf

    return conf.MODEL


def _show_raw_events() -> None:
    """Print the engine's debug log on stderr, each line with the seconds since now."""
    start = time.time()

    class Seconds(LineFormatter):
        def format(self, record: logging.LogRecord) -> str:
            return f"{record.created - start:8.3f}  {super().format(record)}"

    handler = logging.StreamHandler()
    handler.setFormatter(Seconds())
    logger = logging.getLogger("nous_chat.engine")
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    logger.addHandler(handler)
