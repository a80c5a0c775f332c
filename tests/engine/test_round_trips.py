"""Every wire over a real connection: requests, a tool call with its result, failures, and recordings."""

import asyncio
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from chat.engine import (
    Agent,
    Completion,
    Error,
    Event,
    Finish,
    Limits,
    Message,
    ThinkingDelta,
    ToolCall,
    Usage,
    run,
    run_stream,
)  # fmt: skip
from chat.engine.providers import provider_for
from chat.engine.providers.provider import Provider, Request, ToolSpec
from chat.engine.providers.recording import Recording, recording

from ..support.upstream import Upstream, text
from .conftest import KEY

Make = Callable[[str], Provider]
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
WEATHER = ToolSpec("weather", "Tells the weather.", SCHEMA)


@pytest.fixture(params=["openrouter", "deepseek", "mistral", "anthropic", "gemini", "ollama"])
def wire(request: pytest.FixtureRequest, provider: Upstream) -> Make:
    name = request.param
    address = provider.bare_url if name in ("anthropic", "gemini", "ollama") else provider.url
    environ = {f"{name.upper()}_API_KEY": KEY, f"{name.upper()}_BASE_URL": address}
    return lambda model: provider_for(f"{name}:{model}", environ)


async def ask(provider: Provider, *messages: Message, **fields: Any) -> list[Any]:
    return [event async for event in provider.stream(Request(messages, tools=[WEATHER], **fields))]


def events_of(agent: Agent) -> list[Event]:
    async def collect() -> list[Event]:
        return [event async for event in run_stream(agent, "Hello there")]

    return asyncio.run(collect())


def test_an_answer_arrives_with_thinking_and_usage(wire: Make) -> None:
    result = asyncio.run(run(Agent(wire("thinking@n=5,split=7")), "Hello there"))
    assert (result.thinking, result.text) == ("t0 t1 t2 t3 t4 ", text(5))
    if result.provider != "mistral":
        assert result.usage is not None
        assert result.usage.input_tokens == 2


def test_a_tool_goes_from_call_to_result_to_answer(wire: Make, provider: Upstream) -> None:
    model = wire("agent")
    question = Message("user", "How is it in Oslo?")
    first = asyncio.run(ask(model, question))
    (call,) = [event for event in first if isinstance(event, ToolCall)]
    completion = first[-1]
    assert isinstance(completion, Completion)
    assert (call.name, call.arguments, bool(call.id)) == ("weather", {"city": "Oslo"}, True)
    assert [event.text for event in first if isinstance(event, ThinkingDelta)] == ["Hm. "]

    turn = Message("assistant", "", tool_calls=(call,), replay=completion.replay)
    result = Message("tool", "Rain", name=call.name, call_id=call.id)
    second = asyncio.run(ask(model, question, turn, result))
    assert second[0].text == "Rain "
    sent = provider.last()["body"]
    assert SENT[model.name](sent, call.id), json.dumps(sent, indent=1)


def openai_wire(extra: dict[str, Any]) -> Callable[[Any, str], bool]:
    def check(sent: Any, identity: str) -> bool:
        if "stream_options" not in sent:  # Mistral, which accepts ids of nine letters and digits only
            identity = sent["messages"][-1]["tool_call_id"]
            assert re.fullmatch("[0-9a-f]{9}", identity)
        function = {"name": "weather", "arguments": '{"city":"Oslo"}'}
        calls = [{"id": identity, "type": "function", "function": function}]
        described = {"name": "weather", "description": "Tells the weather.", "parameters": SCHEMA}
        return bool(
            sent["messages"][1:] == [
                {"role": "assistant", "content": None, "tool_calls": calls} | extra,
                {"role": "tool", "tool_call_id": identity, "content": "Rain"},
            ]
            and sent["tools"] == [{"type": "function", "function": described}]
        )  # fmt: skip

    return check


def anthropic_wire(sent: Any, identity: str) -> bool:
    return bool(
        sent["messages"][1:] == [
            {"role": "assistant", "content": [
                {"type": "thinking", "thinking": "Hm. ", "signature": "signed-thought"},
                {"type": "tool_use", "id": identity, "name": "weather", "input": {"city": "Oslo"}},
            ]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": identity, "content": "Rain"}]},
        ]
        and sent["tools"] == [{"name": "weather", "description": "Tells the weather.", "input_schema": SCHEMA}]
    )  # fmt: skip


def gemini_wire(sent: Any, identity: str) -> bool:
    call = {"name": "weather", "args": {"city": "Oslo"}}
    return bool(
        sent["contents"][1:] == [
            {"role": "model", "parts": [{"functionCall": call, "thoughtSignature": "signed-call"}]},
            {"role": "user", "parts": [{"functionResponse": {"name": "weather", "response": {"output": "Rain"}}}]},
        ]
        and sent["tools"] == [{"functionDeclarations": [
            {"name": "weather", "description": "Tells the weather.", "parameters": SCHEMA}]}]
    )  # fmt: skip


def ollama_wire(sent: Any, identity: str) -> bool:
    calls = [{"function": {"name": "weather", "arguments": {"city": "Oslo"}}}]
    return bool(sent["messages"][1:] == [
        {"role": "assistant", "content": "", "tool_calls": calls},
        {"role": "tool", "content": "Rain", "tool_name": "weather"},
    ])  # fmt: skip


DETAIL = {"type": "reasoning.text", "text": "Hm. ", "index": 0, "signature": "signed-detail"}
SENT: dict[str, Callable[[Any, str], bool]] = {
    "openrouter": openai_wire({"reasoning_details": [DETAIL]}),
    "deepseek": openai_wire({"reasoning_content": "Hm. "}),
    "mistral": openai_wire({}),
    "anthropic": anthropic_wire,
    "gemini": gemini_wire,
    "ollama": ollama_wire,
}


def test_a_replay_of_another_vendor_is_not_sent(wire: Make, provider: Upstream) -> None:
    """As after a fallback: the second model gets the history of the first."""
    replays = [asyncio.run(ask(model, Message("user", "x")))[-1].replay for model in providers_with_replays(provider)]
    assert len([replay for replay in replays if replay]) == 4
    model = wire("echo")
    for replay in replays:
        if replay and replay.wire != model.name:
            turn = Message("assistant", "", tool_calls=(ToolCall("call_9", "weather", {}),), replay=replay)
            asyncio.run(ask(model, Message("user", "x"), turn, Message("tool", "Rain", call_id="call_9")))
            assert "signed-" not in json.dumps(provider.last()["body"])


def providers_with_replays(provider: Upstream) -> list[Provider]:
    providers = []
    for name in ("openrouter", "deepseek", "anthropic", "gemini"):
        address = provider.bare_url if name in ("anthropic", "gemini") else provider.url
        providers.append(
            provider_for(f"{name}:agent", {f"{name.upper()}_API_KEY": KEY, f"{name.upper()}_BASE_URL": address})
        )
    return providers


@pytest.mark.parametrize(("model", "code", "partial"), [
    ("cut@n=5", "stream_cut", text(5)),
    ("unfinished@n=5", "stream_cut", text(5)),
    ("fails@n=5", "server_error", text(5)),
    ("page", "bad_response", ""),
    ("status@code=529", "overloaded", ""),
    ("status@code=401", "authentication", ""),
])  # fmt: skip
def test_failures_have_error_codes(wire: Make, model: str, code: str, partial: str) -> None:
    last = events_of(Agent(wire(model), limits=Limits(max_retries=0)))[-1]
    assert isinstance(last, Error)
    assert (last.error.code, last.result.text) == (code, partial)
    assert KEY not in last.error.message + last.error.detail


@pytest.mark.parametrize(
    "model", ["thinking@n=5,split=3", "agent", "fails@n=3", "cut@n=3", "status@code=429,retry_after=7"]
)
def test_a_recording_replays_the_same_answer(wire: Make, model: str, tmp_path: Path) -> None:
    events, file = record(wire(model), tmp_path / "answer.sse")
    replayed = events_of(Agent(f"demo:{file}", limits=Limits(max_retries=0)))
    end, last = events[-1], replayed[-1]
    assert isinstance(end, Finish | Error)
    assert isinstance(last, type(end))
    names = ("text", "thinking", "finish_reason", "usage", "refusal")
    assert [getattr(last.result, name) for name in names] == [getattr(end.result, name) for name in names]
    calls = [[(call.name, call.arguments) for call in e.result.tool_calls] for e in (end, last)]
    assert calls[0] == calls[1]
    if isinstance(end, Error) and isinstance(last, Error):
        assert last.error.code == end.error.code
        assert getattr(last.error, "retry_after", None) == getattr(end.error, "retry_after", None)
    metadata = json.loads(file.with_suffix(".json").read_text())
    assert metadata["expected"]["text"] == end.result.text
    assert metadata["body_bytes"] == len(file.read_bytes())
    assert KEY not in file.read_text() + json.dumps(metadata)


def record(model: Provider, path: Path) -> tuple[list[Event], Path]:
    """Record one exchange without retries, like nous_ask."""
    recorder = Recording()

    async def collect() -> list[Event]:
        recording.set(recorder)
        return [
            event async for event in run_stream(Agent(model, limits=Limits(max_retries=0)), f'api_key="{KEY}", hello')
        ]

    events = asyncio.run(collect())
    end = events[-1]
    assert isinstance(end, Finish | Error)
    return events, recorder.write(path, end.result, end.error if isinstance(end, Error) else None)


def test_a_recording_has_the_documented_format(provider: Upstream, tmp_path: Path) -> None:
    model = provider_for("anthropic:words@n=2", {"ANTHROPIC_API_KEY": KEY, "ANTHROPIC_BASE_URL": provider.bare_url})
    _, file = record(model, tmp_path / "new" / "gpt-4.1")
    assert file.name == "gpt-4.1.sse"
    metadata = json.loads((tmp_path / "new" / "gpt-4.1.json").read_text())
    names = ("provider", "model", "wire", "mode", "status", "headers", "url_path")
    assert {name: metadata[name] for name in names} == {
        "provider": "anthropic", "model": "words@n=2", "wire": "anthropic", "mode": "stream", "status": 200,
        "headers": {"content-type": "text/event-stream", "transfer-encoding": "chunked"}, "url_path": "/v1/messages",
    }  # fmt: skip
    assert metadata["request"]["messages"][0]["content"][0]["text"] == 'api_key="***", hello'
    assert metadata["expected"]["usage"]["total_tokens"] == Usage(2, 2, 4).total_tokens


def test_an_invalid_recording_is_explained(tmp_path: Path) -> None:
    for name in ("missing.sse", "broken.sse"):
        (tmp_path / "broken.sse").write_bytes(b"")
        (tmp_path / "broken.json").write_bytes(b"{")
        (last,) = events_of(Agent(f"demo:{tmp_path / name}"))
        assert isinstance(last, Error)
        assert last.error.code == "configuration"
    with pytest.raises(ValueError, match="nothing"):
        Recording().write(tmp_path / "x", None)  # type: ignore[arg-type]
