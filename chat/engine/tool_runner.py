"""Runs the tool calls of a turn and yields their results as they finish. It knows tools but no models.

Background tasks: `ToolRunner.run` starts one task per call, and ends all of them before it returns. Synchronous
functions run in a thread of their own, which cannot be ended: it is signalled (`ToolContext.is_cancelled`) and left
behind. Nothing but a cancellation escapes from a task.
"""

import asyncio
import logging
import threading
from collections.abc import AsyncGenerator, Awaitable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, NamedTuple

import msgspec

from .daemon_threads import in_daemon_thread
from .events import ToolResult
from .messages import ToolCall
from .telemetry import NOTHING, Span, result_of, tool_span
from .tools import Tool, ToolContext, ToolError

logger = logging.getLogger("nous_chat.engine")

_CANCEL_TIMEOUT = 1.0
"""How long, in seconds, to wait for a cancelled tool to clean up."""


class _Outcome(NamedTuple):
    text: str
    failed: bool = False


class _RunningCall(NamedTuple):
    call: ToolCall
    tool: Tool[..., Any]
    cancelled: threading.Event
    deadline: float


class ToolRunner:
    """The tools of a run."""

    def __init__(self, tools: Sequence[Tool[..., Any]], context: ToolContext, trace_content: bool = False) -> None:
        self.specs = [tool.spec for tool in tools]
        self._tools = {tool.name: tool for tool in tools}
        self._context = context
        self.span: Span = NOTHING
        """Of the run."""
        self._trace_content = trace_content

    def needs_approval(self, call: ToolCall) -> bool:
        """True if a person has to decide about the call. Invalid calls fail without a decision."""
        tool = self._tools.get(call.name)
        if tool is None or not tool.requires_approval:
            return False
        with suppress(ToolError):
            tool.validate(call.arguments)
            return True
        return False

    async def run(self, calls: Sequence[ToolCall], until: float) -> AsyncGenerator[ToolResult, None]:
        """Yield a result for each call, in the order in which they finish. Closing the generator cancels the calls that
        still run. Raises TimeoutError if some have not finished at `until`, a time of the event loop's clock."""
        loop = asyncio.get_running_loop()
        running: dict[asyncio.Task[_Outcome], _RunningCall] = {}
        tasks = []
        try:
            for call in calls:
                try:
                    tool, arguments = self._prepare(call)
                except ToolError as error:
                    yield await self.refuse(call, error.message)
                    continue
                cancelled = threading.Event()
                context = replace(self._context, call_id=call.id, cancelled=cancelled.is_set)
                task = asyncio.create_task(self._trace(call, tool, arguments, context), name=f"tool {call.name}")
                deadline = float("inf") if tool.timeout is None else loop.time() + tool.timeout
                running[task] = _RunningCall(call, tool, cancelled, deadline)
                tasks.append(task)
            while running:
                nearest = min(until, *(running_call.deadline for running_call in running.values()))
                wait = max(0.0, nearest - loop.time())
                await asyncio.wait(running, timeout=wait, return_when=asyncio.FIRST_COMPLETED)
                for task, (call, tool, cancelled, deadline) in list(running.items()):
                    if task.done():
                        del running[task]
                        text, failed = _outcome_of(task)
                        yield ToolResult(call.id, call.name, text, failed)
                    elif deadline <= loop.time():
                        del running[task]
                        cancelled.set()
                        task.cancel()
                        text = f"{tool.name} gave no result within {tool.timeout:g} seconds."
                        yield ToolResult(call.id, call.name, text, failed=True)
                if running and until <= loop.time():
                    raise TimeoutError
        finally:
            for running_call in running.values():
                running_call.cancelled.set()
            await _cancel(tasks)

    async def _trace(
        self, call: ToolCall, tool: Tool[..., Any], arguments: dict[str, Any], context: ToolContext
    ) -> "_Outcome":
        with tool_span(call, self._trace_content, self.span) as span, span.current():
            outcome = await _call_tool(tool, arguments, context)
            if self._trace_content:
                span.set(result_of(outcome.text))
            if outcome.failed:
                span.fail("tool_error")
            return outcome

    async def refuse(self, call: ToolCall, why: str) -> ToolResult:
        """The result of a call that is not made: why, and what the tool has done with arguments that came in pieces."""
        tool = self._tools.get(call.name)
        if tool is not None and tool.not_called is not None:
            context = replace(self._context, call_id=call.id)
            done = await _describe_rest(tool, tool.not_called(context))
            why = f"{why} {done}".rstrip()
        return ToolResult(call.id, call.name, why, failed=True)

    def _prepare(self, call: ToolCall) -> tuple[Tool[..., Any], dict[str, Any]]:
        tool = self._tools.get(call.name)
        if tool is None:
            known = ", ".join(self._tools)
            raise ToolError(f"There is no tool {call.name!r}. The tools are: {known}.")
        return tool, tool.validate(call.arguments)


async def _call_tool(tool: Tool[..., Any], arguments: dict[str, Any], context: ToolContext) -> _Outcome:
    args = (context,) if tool.takes_context else ()
    try:
        if not tool.is_async:
            return await in_daemon_thread(_call_synchronously, tool, args, arguments, context)
        return _Outcome(_to_text(await tool.function(*args, **arguments), tool.max_chars))
    except (Exception, SystemExit, GeneratorExit) as error:
        return _failure(tool, error)


async def _describe_rest(tool: Tool[..., Any], rest: Awaitable[str]) -> str:
    try:
        return _truncate(await rest, tool.max_chars)
    except (Exception, SystemExit, GeneratorExit) as error:
        return _failure(tool, error).text


def _call_synchronously(
    tool: Tool[..., Any], args: tuple[ToolContext, ...], arguments: dict[str, Any], context: ToolContext
) -> _Outcome:
    """Runs in a thread. The result is converted to text there as well, because it may be large."""
    try:
        with context.thread_scope():
            return _Outcome(_to_text(tool.function(*args, **arguments), tool.max_chars))
    except BaseException as error:
        return _failure(tool, error)


def _outcome_of(task: asyncio.Task[_Outcome]) -> _Outcome:
    """The outcome of a finished task. If it was cancelled, the tool did that itself."""
    if task.cancelled():
        return _Outcome("The tool was cancelled before it finished.", failed=True)
    return task.result()


def _failure(tool: Tool[..., Any], error: BaseException) -> _Outcome:
    """An exception, for the model: the message of a ToolError. Of others only the type, as their text may hold
    secrets."""
    if isinstance(error, ToolError):
        return _Outcome(_truncate(error.message, tool.max_chars), failed=True)
    logger.error("The tool %s failed", tool.name, exc_info=error)
    return _Outcome(f"{tool.name} failed ({type(error).__name__}). The error has been logged.", failed=True)


def _to_text(result: object, max_chars: int) -> str:
    """A string unchanged, everything else as JSON."""
    if not isinstance(result, str):
        result = msgspec.json.encode(result, enc_hook=_to_builtin).decode()
    return _truncate(result, max_chars)


def _to_builtin(value: object) -> object:
    """The fields of a pydantic model. Raises TypeError for other objects."""
    dump = getattr(value, "model_dump", None)
    if callable(dump):
        return dump(mode="json")
    raise TypeError(f"a tool's result cannot hold {type(value).__name__}")


def _truncate(text: str, max_chars: int) -> str:
    """At most `max_chars` characters, including a note about the cut. Lone surrogates become question marks."""
    if len(text) > max_chars:
        note = f"\n[Cut off here: the result has {len(text)} characters.]"
        text = text[: max(0, max_chars - len(note))] + note
    return text.encode("utf-8", "replace").decode("utf-8")


async def _cancel(tasks: Sequence[asyncio.Task[_Outcome]]) -> None:
    """Cancel the running tasks, and wait a limited time for them."""
    running = [task for task in tasks if not task.done()]
    if not running:
        return
    for task in running:
        task.cancel()
    _, pending = await asyncio.wait(running, timeout=_CANCEL_TIMEOUT)
    for task in pending:
        logger.warning("The %s still runs although it was cancelled", task.get_name())
