"""Agents that play several turns: a script for each request, and what was asked of them."""

import asyncio
from collections.abc import Sequence
from typing import Any

from chat.engine import Agent, DemoProvider, Error, Event, Finish, Message, Result, ToolCall, ToolResult, run_stream
from chat.engine.providers.provider import Request


class Turns:
    """`Turns([step, ...], [step, ...])`: the first request gets the first script, and so on; the last one stays.
    `asked` are the requests."""

    def __init__(self, *scripts: Sequence[Any], model: str = "script") -> None:
        self.asked: list[Request] = []
        self._scripts = scripts
        self.provider = DemoProvider(model, script=self._play)

    def agent(self, **options: Any) -> Agent:
        return Agent(self.provider, **options)

    def _play(self, request: Request) -> Sequence[Any]:
        self.asked.append(request)
        return self._scripts[min(len(self.asked), len(self._scripts)) - 1]


async def collect(agent: Any, prompt: Any = "Hi", **options: Any) -> list[Event]:
    return [event async for event in run_stream(agent, prompt, **options)]


def events_of(agent: Any, prompt: Any = "Hi", **options: Any) -> list[Event]:
    return asyncio.run(collect(agent, prompt, **options))


def finished(events: list[Event]) -> Result:
    assert isinstance(events[-1], Finish), events[-1]
    return events[-1].result


def failed(events: list[Event]) -> Error:
    assert isinstance(events[-1], Error), events[-1]
    return events[-1]


def results(events: list[Event]) -> list[ToolResult]:
    return [event for event in events if isinstance(event, ToolResult)]


def call(name: str, identity: str = "1", /, **arguments: Any) -> ToolCall:
    return ToolCall(identity, name, arguments)


def tool_message(identity: str, name: str, text: str, failed: bool = False) -> Message:
    return Message("tool", text, name=name, call_id=identity, failed=failed)
