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
    for number, odd in enumerate(ODD_IDS.get(asked, ())):
        yield ToolCall(odd, "refund", {"order": number, "amount": 1.0})


ODD_IDS = {
    "a long id": ["c" * 250],
    "two ids of which the first 200 characters are the same": ["c" * 200 + "a", "c" * 200 + "b"],
    "a NUL in an id": ["call\x001"],
    "one id for both": ["c1", "c1"],
    "ids that differ in case": ["call_a", "call_A"],
    "no id": ["", ""],
}
"""Questions, and the ids of the calls that answer them. Each call needs approval."""


class OddAgent:
    """An agent of a site's own, which makes calls with such ids itself."""

    async def run_stream(self, messages: Any, *, context: Any) -> Any:
        ids = ODD_IDS[messages[-1].text]
        calls = tuple(ToolCall(odd, "refund", {"order": number}) for number, odd in enumerate(ids))
        for call in calls:
            yield call
        turn = engine.Message("assistant", "", tool_calls=calls)
        yield engine.Finish(engine.Result(messages=(turn,), pending=calls))

    async def resume(self, messages: Any, decisions: Any, *, context: Any) -> Any:
        for call in messages[-1].tool_calls:
            approved = isinstance(decisions[call.id], engine.Approve)
            yield engine.ToolResult(call.id, call.name, f"order {call.arguments['order']}", failed=not approved)
        yield TextDelta("Result: done")
        yield engine.Finish(engine.Result())


odd_agent = OddAgent()
agent = engine.Agent(engine.DemoProvider(script=script), tools=[who_asks, look_up, refund])
