"""Tool calls in, their results out, as they finish. The runner calls it; it knows tools and no models.

Each call runs in a task of its own, synchronous functions in a thread of their own. Both are started by `Toolbox.run`,
which ends the tasks before it returns; a thread cannot be ended, so it is told (`ToolContext.is_cancelled`) and left
behind. Nothing escapes from a task but cancellation.
"""

import asyncio
import contextvars
import logging
import threading
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, NamedTuple

import msgspec

from .events import ToolResult
from .messages import ToolCall
from .tools import Tool, ToolContext, ToolError

logger = logging.getLogger("nous_chat.engine")

_STUBBORN = 1.0
"""Seconds that a cancelled tool gets to clean up before it is left alone."""


class _Outcome(NamedTuple):
    text: str
    failed: bool = False


class _Started(NamedTuple):
    call: ToolCall
    tool: Tool[..., Any]
    cancelled: threading.Event
    due: float


class Toolbox:
    """The tools of a run."""

    def __init__(self, tools: Sequence[Tool[..., Any]], context: ToolContext) -> None:
        self.specs = [tool.spec for tool in tools]
        self._tools = {tool.name: tool for tool in tools}
        self._context = context

    def waits(self, call: ToolCall) -> bool:
        """Whether a person has to decide on it. What cannot be called as it is needs no decision."""
        tool = self._tools.get(call.name)
        if tool is None or not tool.requires_approval:
            return False
        with suppress(ToolError):
            tool.validated(call.arguments)
            return True
        return False

    async def run(self, calls: Sequence[ToolCall], until: float) -> AsyncGenerator[ToolResult, None]:
        """A result for each call, in the order in which they finish. Closing it cancels those that still run. Raises
        TimeoutError if some are not done at `until`, a time of the loop."""
        loop = asyncio.get_running_loop()
        running: dict[asyncio.Task[_Outcome], _Started] = {}
        tasks = []
        try:
            for call in calls:
                try:
                    tool, arguments = self._prepared(call)
                except ToolError as refusal:
                    yield ToolResult(call.id, call.name, refusal.message, failed=True)
                    continue
                cancelled = threading.Event()
                context = replace(self._context, call_id=call.id, cancelled=cancelled.is_set)
                task = asyncio.create_task(_outcome(tool, arguments, context), name=f"tool {call.name}")
                due = float("inf") if tool.timeout is None else loop.time() + tool.timeout
                running[task] = _Started(call, tool, cancelled, due)
                tasks.append(task)
            while running:
                nearest = min(until, *(started.due for started in running.values()))
                wait = max(0.0, nearest - loop.time())
                await asyncio.wait(running, timeout=wait, return_when=asyncio.FIRST_COMPLETED)
                for task, (call, tool, cancelled, due) in list(running.items()):
                    if task.done():
                        del running[task]
                        text, failed = _result(task)
                        yield ToolResult(call.id, call.name, text, failed)
                    elif due <= loop.time():
                        del running[task]
                        cancelled.set()
                        task.cancel()
                        text = f"{tool.name} gave no result within {tool.timeout:g} seconds."
                        yield ToolResult(call.id, call.name, text, failed=True)
                if running and until <= loop.time():
                    raise TimeoutError
        finally:
            for started in running.values():
                started.cancelled.set()
            await _end(tasks)

    def _prepared(self, call: ToolCall) -> tuple[Tool[..., Any], dict[str, Any]]:
        tool = self._tools.get(call.name)
        if tool is None:
            known = ", ".join(self._tools)
            raise ToolError(f"There is no tool {call.name!r}. There are: {known}.")
        return tool, tool.validated(call.arguments)


async def _outcome(tool: Tool[..., Any], arguments: dict[str, Any], context: ToolContext) -> _Outcome:
    first = (context,) if tool.takes_context else ()
    try:
        if not tool.is_async:
            return await _in_thread(lambda: _called(tool, first, arguments, context))
        return _Outcome(_text(await tool.function(*first, **arguments), tool.max_chars))
    except (Exception, SystemExit, GeneratorExit) as error:
        return _failure(tool, error)


def _called(
    tool: Tool[..., Any], first: tuple[ToolContext, ...], arguments: dict[str, Any], context: ToolContext
) -> _Outcome:
    """In a thread. The result becomes text there too: it may be large."""
    try:
        with context.thread_scope():
            return _Outcome(_text(tool.function(*first, **arguments), tool.max_chars))
    except BaseException as error:
        return _failure(tool, error)


async def _in_thread(function: Callable[[], _Outcome]) -> _Outcome:
    """A thread for each call, and a daemon: in a pool, a tool that never returns would take the place of others, and
    no process could end before it."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[_Outcome] = loop.create_future()

    def settle(outcome: _Outcome) -> None:
        if not future.done():
            future.set_result(outcome)

    def work() -> None:
        outcome = function()
        with suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(settle, outcome)

    threading.Thread(target=contextvars.copy_context().run, args=(work,), name="tool", daemon=True).start()
    return await future


def _result(task: asyncio.Task[_Outcome]) -> _Outcome:
    """Of a task that is done, and that we did not cancel."""
    if task.cancelled():
        return _Outcome("The tool was cancelled before it was done.", failed=True)
    return task.result()


def _failure(tool: Tool[..., Any], error: BaseException) -> _Outcome:
    """What an exception is to the model: the sentence of a ToolError, of others their kind alone, since their text may
    hold anything."""
    if isinstance(error, ToolError):
        return _Outcome(_bounded(error.message, tool.max_chars), failed=True)
    logger.error("The tool %s failed", tool.name, exc_info=error)
    return _Outcome(f"{tool.name} failed ({type(error).__name__}). It has been logged.", failed=True)


def _text(result: object, max_chars: int) -> str:
    """Text as it is, everything else as JSON."""
    if not isinstance(result, str):
        result = msgspec.json.encode(result, enc_hook=_plain).decode()
    return _bounded(result, max_chars)


def _plain(value: object) -> object:
    """Of a pydantic model its fields; others are no JSON."""
    dump = getattr(value, "model_dump", None)
    if callable(dump):
        return dump(mode="json")
    raise TypeError(f"a tool's result cannot hold {type(value).__name__}")


def _bounded(text: str, max_chars: int) -> str:
    """At most that many characters, the note on what is missing among them; half an emoji becomes a question mark."""
    if len(text) > max_chars:
        note = f"\n[Cut off here: the result has {len(text)} characters.]"
        text = text[: max(0, max_chars - len(note))] + note
    return text.encode("utf-8", "replace").decode("utf-8")


async def _end(tasks: Sequence[asyncio.Task[_Outcome]]) -> None:
    """Cancel what still runs, and wait for it, but not for ever."""
    left = [task for task in tasks if not task.done()]
    if not left:
        return
    for task in left:
        task.cancel()
    _, stubborn = await asyncio.wait(left, timeout=_STUBBORN)
    for task in stubborn:
        logger.warning("The %s goes on although it was cancelled", task.get_name())
