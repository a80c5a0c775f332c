"""A custom agent with tools. Its model is a script that reacts to the words in the user's message."""

from collections.abc import Iterator
from typing import Any

from chat import engine
from chat.engine import TextDelta, ToolCall, ToolContext, ToolError, tool
from chat.engine.providers.provider import Request

seen: list[ToolContext] = []


@tool
def who_asks(context: ToolContext) -> str:
    """The name of the person who asks."""
    seen.append(context)
    return str(context.user.username)


@tool
async def look_up(order: int) -> dict[str, Any]:
    """One order."""
    if order == 404:
        raise ToolError("There is no such order.")
    if order == 500:
        raise RuntimeError("secret internals")
    return {"order": order, "state": "shipped"}


@tool(requires_approval=True)
async def refund(order: int, amount: float) -> str:
    """Pay back."""
    return f"refunded {amount} for {order}"


def script(request: Request) -> Iterator[Any]:
    """Call the tools that the last user message names, then report their results."""
    results = []
    for message in reversed(request.messages):
        if message.role == "user":
            break
        if message.role == "tool":
            results.append(message.text)
    asked = next(m.text for m in reversed(request.messages) if m.role == "user")
    if results:
        yield TextDelta("Result: " + "; ".join(reversed(results)))
        return
    yield TextDelta("Let me see. ")
    calls = {
        "name": ToolCall("c1", "who_asks", {}, "{}"),
        "order": ToolCall("c2", "look_up", {"order": 7}, '{"order": 7}'),
        "missing": ToolCall("c3", "look_up", {"order": 404}, '{"order": 404}'),
        "broken": ToolCall("c4", "look_up", {"order": 500}, '{"order": 500}'),
        "wrong": ToolCall("c5", "look_up", {"order": "seven"}, '{"order": "seven"}'),
        "refund": ToolCall("c6", "refund", {"order": 7, "amount": 5.0}, '{"order": 7, "amount": 5.0}'),
    }
    yield from (call for word, call in calls.items() if word in asked)


agent = engine.Agent(engine.DemoProvider(script=script), tools=[who_asks, look_up, refund])
