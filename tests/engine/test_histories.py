"""What the second request of a run contains: calls, ids and names as servers send them, and what those servers, and the
vendors, take back."""

import asyncio
from typing import Any

import pytest

from chat.engine import Agent, Result, run, tool
from chat.engine.providers import provider_for

from ..support.upstream import Script, Upstream
from .conftest import KEY
from .responses import STOP, call, delta, sse

DONE = sse(delta(content="All done."), STOP)


@tool
def look_up(word: str = "nothing") -> str:
    """Looks a word up."""
    return f"{word}: a word"


def ask(provider: Upstream, script: Script, vendor: str = "openai") -> Result:
    """Ask a vendor whose server is the script."""
    url = provider.bare_url if vendor in ("anthropic", "gemini") else provider.url
    environ = {f"{vendor.upper()}_API_KEY": KEY, f"{vendor.upper()}_BASE_URL": url}
    model = next(name for name, known in provider.scripts.items() if known is script)
    return asyncio.run(run(Agent(provider_for(f"{vendor}:{model}", environ), tools=[look_up]), "Hi"))


LONG = "call_7f3a__thought__" + "QUJDREVGR0hJ" * 20


@pytest.mark.parametrize(
    "ids",
    [
        ["functions.look_up:0"],
        [LONG],
        [LONG + "A", LONG + "B"],
        ["call_\x00_1"],
        ["ünïcödé id"],
        ["call_A", "call_a"],
    ],
    ids=str,
)
def test_a_server_gets_its_own_ids_back(provider: Upstream, ids: list[str]) -> None:
    arguments = [f'{{"word": "w{number}"}}' for number in range(len(ids))]
    calls = [call(n, id=ids[n], name="look_up", arguments=arguments[n]) for n in range(len(ids))]
    script = provider.script("odd-ids", sse(*calls, delta("tool_calls")), DONE)
    result = ask(provider, script)
    assert result.text == "All done."
    assert [made.received_id for made in result.tool_calls] == ids
    assert len({made.id for made in result.tool_calls}) == len(ids)
    assert all(len(made.id) <= 40 for made in result.tool_calls)
    _, turn, *results = script.requests[1]["messages"]
    assert [made["id"] for made in turn["tool_calls"]] == ids
    assert [(r["tool_call_id"], r["content"]) for r in results] == [(i, f"w{n}: a word") for n, i in enumerate(ids)]


def test_two_calls_with_one_id_are_told_apart(provider: Upstream) -> None:
    """In the next turn the server uses the same id again, as some do that count from 0 in each."""
    first = sse(
        call(0, id="f:0", name="look_up", arguments='{"word": "a"}'),
        call(1, id="f:0", name="look_up", arguments='{"word": "b"}'),
        delta("tool_calls"),
    )
    again = sse(call(0, id="f:0", name="look_up", arguments='{"word": "c"}'), delta("tool_calls"))
    script = provider.script("twice", first, again, DONE)
    assert ask(provider, script).text == "All done."
    _, turn, *results = script.requests[1]["messages"]
    assert [r["content"] for r in results] == ["a: a word", "b: a word"]
    assert [made["id"] for made in turn["tool_calls"]] == [r["tool_call_id"] for r in results]
    assert results[0]["tool_call_id"] == "f:0"
    assert results[1]["tool_call_id"] != "f:0"
    assert [m["tool_calls"][0]["id"] for m in script.requests[2]["messages"] if "tool_calls" in m] == ["f:0", "f:0"]


@pytest.mark.parametrize("name", ["", "functions.look_up<|channel|>commentary", "x" * 100])
def test_a_call_of_no_tool_goes_back_with_a_name_that_the_api_takes(provider: Upstream, name: str) -> None:
    piece = {"index": 0, "id": "c1", "function": {"name": name, "arguments": "{}"}}
    script = provider.script("odd-name", sse(delta(tool_calls=[piece]), delta("tool_calls")), DONE)
    result = ask(provider, script)
    assert (result.text, result.tool_calls[0].name) == ("All done.", name)
    (made,) = script.requests[1]["messages"][1]["tool_calls"]
    assert made["function"]["name"].isidentifier()
    assert len(made["function"]["name"]) <= 64
    assert "There is no tool" in script.requests[1]["messages"][2]["content"]


def anthropic(*events: dict[str, Any]) -> bytes:
    whole = [{"type": "message_start", "message": {"usage": {"input_tokens": 1}}}, *events]
    stop = [{"type": "message_delta", "delta": {"stop_reason": "end_turn"}}, {"type": "message_stop"}]
    return sse(*whole, *stop, done=False)


def block(index: int, start: dict[str, Any], *deltas: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {"type": "content_block_start", "index": index, "content_block": start},
        *({"type": "content_block_delta", "index": index, "delta": each} for each in deltas),
        {"type": "content_block_stop", "index": index},
    ]


def test_blocks_go_back_to_anthropic_with_the_fields_that_it_takes(provider: Upstream) -> None:
    """Some compatible servers put text into blocks of calls, and fields of their own into all."""
    use = {"type": "tool_use", "name": "look_up", "input": {}, "cost": 1}
    arguments = {"type": "input_json_delta", "partial_json": '{"word":"tide"}'}
    first = anthropic(
        *block(0, {"type": "thinking", "thinking": "", "tokens": 3}, {"type": "thinking_delta", "thinking": "Hm."},
               {"type": "signature_delta", "signature": "c2ln"}),
        *block(1, {"type": "text", "text": "Let me see.", "id": "t1"}),
        *block(2, use | {"id": "toolu_1"}, arguments, {"type": "text_delta", "text": "\n"}),
        *block(3, use | {"id": "toolu_1"}, arguments),
        *block(4, use | {"id": "functions.x:0", "name": "no such"}, arguments),
    )  # fmt: skip
    done = anthropic(*block(0, {"type": "text", "text": "All done."}))
    script = provider.script("blocks", first, done)
    assert ask(provider, script, "anthropic").text.endswith("All done.")
    thought, said, *calls = script.requests[1]["messages"][1]["content"]
    results = script.requests[1]["messages"][2]["content"]
    assert thought == {"type": "thinking", "thinking": "Hm.", "signature": "c2ln"}
    assert said == {"type": "text", "text": "Let me see."}
    assert [made["tool_use_id"] for made in results] == [made["id"] for made in calls]
    assert len({made["id"] for made in calls}) == 3
    assert (calls[0]["id"], calls[2]["id"]) == ("toolu_1", "functions.x:0")
    for made in calls:
        assert made | {"id": "", "name": ""} == {"type": "tool_use", "id": "", "name": "", "input": {"word": "tide"}}
    assert [made["name"] for made in calls] == ["look_up", "look_up", "_no_such"]
