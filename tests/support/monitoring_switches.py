"""What turns monitoring, tracing, and a log flood on and off in a running process, for those who measure their cost
(probe.py). No site needs that, so the chat has no such settings.
"""

import asyncio
import logging
from contextlib import ExitStack
from unittest import mock

from chat import metrics
from chat.engine import telemetry
from chat.node import node

LINES_PER_SECOND = 10_000
FLOOD_EVERY = 0.01
"""Seconds between two pieces of the flood."""

_blinded = ExitStack()
_deaf = ExitStack()
_flood: asyncio.Task[None] | None = None


def see() -> None:
    """As the site is, and nobody watches: those who have gone count for some seconds."""
    _blinded.close()
    hear()
    node.current().reporter._watched_until.clear()


def blind() -> None:
    """Nothing is measured, kept, announced, or answered."""
    see()
    reporter = node.current().reporter
    for owner, name, replacement in (
        (reporter, "_tick", _do_nothing_later),
        (reporter, "handle", _do_nothing),
        (metrics, "count", _do_nothing),
        (metrics, "observe", _do_nothing),
    ):
        _blinded.enter_context(mock.patch.object(owner, name, replacement))
    reporter._lag.stop()
    _blinded.callback(reporter._lag.start)
    deafen()


def deafen() -> None:
    """The process keeps no log lines. What it writes to stderr stays the same."""
    hear()
    log = node.current().reporter._log
    logging.getLogger().removeHandler(log)
    _deaf.callback(logging.getLogger().addHandler, log)


def hear() -> None:
    _deaf.close()


def _do_nothing(*_: object) -> None:
    pass


async def _do_nothing_later(*_: object) -> None:
    pass


def flood() -> None:
    """Log LINES_PER_SECOND from now on, in the event loop."""
    global _flood
    stop_flood()
    _flood = asyncio.create_task(_log_lines())


def stop_flood() -> None:
    if _flood is not None:
        _flood.cancel()


async def _log_lines() -> None:
    logger, now = logging.getLogger("nous_chat.flood"), asyncio.get_running_loop().time
    began, logged = now(), 0
    while True:
        for number in range(logged, due := int((now() - began) * LINES_PER_SECOND)):
            logger.info("Order %d of customer %s took %.3f s", number, "0f4c77b1", 0.25)
        logged = due
        await asyncio.sleep(FLOOD_EVERY)


def trace_runs() -> None:
    """Record spans and metrics with OpenTelemetry's SDK. What an exporter costs is not in it."""
    from .telemetry import install_silently  # the SDK takes memory, which others measure

    install_silently()
    telemetry.IS_INSTALLED = True


def trace_nothing() -> None:
    """As without the extra."""
    telemetry.IS_INSTALLED = False
