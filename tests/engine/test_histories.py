"""What the second request of a run contains: calls, ids and names as servers send them, and what those servers, and the
vendors, take back."""

import asyncio
import re
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat.engine import Agent, Image, Message, ProviderError, Replay, Result, ToolCall, run, tool
from chat.engine.providers import provider_for
from chat.engine.providers.provider import Request

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


SIGNATURE = {"google": {"thought_signature": "U0lHTkFUVVJF"}}


def test_a_signature_in_extra_content_goes_back_with_its_call(provider: Upstream) -> None:
    """Google: "OpenAI compatibility", thought signatures. Only the first of several calls has one."""
    first = sse(
        call(0, id="a", name="look_up", arguments='{"word": "a"}', extra_content=SIGNATURE),
        call(1, id="b", name="look_up", arguments='{"word": "b"}'),
        delta("tool_calls"),
    )
    script = provider.script("signed", first, DONE)
    assert ask(provider, script).text == "All done."
    _, turn, *_ = script.requests[1]["messages"]
    assert [made.get("extra_content") for made in turn["tool_calls"]] == [SIGNATURE, None]
    assert set(turn) == {"role", "content", "tool_calls"}


def test_a_signature_goes_back_to_its_own_vendor_only(provider: Upstream) -> None:
    first = sse(call(0, id="a", name="look_up", arguments="{}", extra_content=SIGNATURE), delta("tool_calls"))
    script = provider.script("signed-1", first, DONE)
    history = ask(provider, script).messages
    other = provider_for("groq:x", {"GROQ_API_KEY": KEY})
    assert "extra_content" not in str(other.request_body(Request(history)))  # type: ignore[attr-defined]


def test_deepseek_gets_its_field_of_thoughts_with_and_without_thoughts(provider: Upstream) -> None:
    calls = (call(0, id="a", name="look_up", arguments="{}"), delta("tool_calls"))
    script = provider.script("thoughts", sse(*calls), sse(delta(reasoning_content="Hm."), *calls), DONE)
    ask(provider, script, "deepseek")
    turns = [message for message in script.requests[2]["messages"] if message["role"] == "assistant"]
    assert [turn["reasoning_content"] for turn in turns] == ["", "Hm."]


REFUSED = {"error_code": "BAD_REQUEST", "message": "stream_options: Extra inputs are not permitted"}


def test_a_server_that_refuses_stream_options_is_asked_without_them(provider: Upstream) -> None:
    script = provider.script("refusing", REFUSED, DONE)
    assert ask(provider, script).text == "All done."
    assert ask(provider, script).text == "All done."
    assert ["stream_options" in request for request in script.requests] == [True, False, False], "it is remembered"
    other = provider.script("another", DONE)
    ask(provider, other)
    assert "stream_options" in other.requests[0], "for this model only"


def test_another_error_400_is_an_error(provider: Upstream) -> None:
    script = provider.script("refusing-all", {"error": {"message": "temperature: too hot"}})
    with pytest.raises(ProviderError) as raised:
        ask(provider, script)
    assert (raised.value.code, len(script.requests)) == ("bad_request", 1)


def test_a_setting_leaves_a_field_out(provider: Upstream) -> None:
    script = provider.script("set", DONE)
    environ = {"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": provider.url}
    asyncio.run(run(Agent(provider_for("openai:set", environ), settings={"stream_options": None}), "Hi"))
    assert "stream_options" not in script.requests[0]


@pytest.mark.parametrize("vendor", ["lmstudio", "llamacpp", "vllm", "sglang", "ollama", "custom", "ollama's own"])
def test_local_servers_get_user_and_assistant_in_turns(vendor: str) -> None:
    """Chat templates raise "Conversation roles must alternate user/assistant/user/assistant/..." otherwise."""
    name = vendor.partition("'")[0]
    url = "http://127.0.0.1:9" if "own" in vendor else "http://127.0.0.1:9/v1"
    model: Any = provider_for(f"{name}:m", {f"{name.upper()}_BASE_URL": url})
    made = ToolCall("c1", "look_up", {})
    history = [
        Message("system", "Be kind."),
        Message("assistant", "Hello."),
        Message("user", "Hi", name="Ada"),
        Message("user", "Hi too", name="Bob", images=(Image(data=b"x"),)),
        Message("user", "So?", name="Ada"),
        Message("assistant", "One moment."),
        Message("assistant", "", tool_calls=(made,)),
        Message("user", "Are you there?"),
        Message("tool", "a word", name="look_up", call_id="c1"),
        Message("system", "It is late."),
        Message("user", "Well?"),
        Message("assistant", "Yes."),
        Message("assistant", "No."),
        Message("user", "Decide."),
    ]
    messages = model.request_body(Request(history, "Be brief."))["messages"]
    roles = [message["role"] for message in messages]
    assert roles == ["system", "user", "assistant", "user", "assistant", "tool", "user", "assistant", "user"]
    texts = [content if isinstance(content := message["content"], str) else content[0]["text"] for message in messages]
    assert texts == [
        "Be brief.\n\nBe kind.",
        "(The beginning is left out.)",
        "Hello.",
        "Ada: Hi\n\nBob: Hi too\n\nAda: So?",
        "One moment.",
        "a word",
        "Are you there?\n\nSystem: It is late.\n\nWell?",
        "Yes.\n\nNo.",
        "Decide.",
    ]
    assert messages[4]["tool_calls"]


def test_vendors_get_the_messages_of_several_people_apart() -> None:
    model: Any = provider_for("openai:m", {"OPENAI_API_KEY": KEY})
    body = model.request_body(Request([Message("user", "Hi", name="Ada"), Message("user", "Hi too", name="Bob")]))
    assert [message["content"] for message in body["messages"]] == ["Ada: Hi", "Bob: Hi too"]


# --- Any history, on any wire

IDS = st.sampled_from(["", "a", "b", "A", "functions.f:0", "x" * 300, "call\x001", "toolu_1", "abcDEF123", "é"])
CALLS = st.builds(
    lambda key, name, arguments, sent, vendor: ToolCall(key, name, arguments, "", sent, f"{vendor}:m" if sent else ""),
    IDS,
    st.sampled_from(["look_up", "", "no such", "f<|x|>", "2", "n" * 99]),
    st.sampled_from([None, {}, {"word": "a"}]),
    IDS,
    st.sampled_from(["openai", "mistral", "anthropic", "gemini", "lmstudio"]),
)
TEXTS = st.sampled_from(["", " ", "Hi", "So?\n"])
REPLAYS = st.sampled_from(
    [
        None,
        Replay("anthropic", [{"type": "thinking", "thinking": "Hm.", "signature": "s", "x": 1}, {"type": "tool_use"}]),
        Replay("gemini", [{"functionCall": {"id": "q", "name": "z"}, "thoughtSignature": "s", "x": 1}]),
        Replay("openai", {"extra_content": [SIGNATURE]}),
    ]
)
MESSAGES = st.one_of(
    st.builds(lambda role, text, name: Message(role, text, name=name), st.sampled_from(["user", "system"]), TEXTS,
              st.sampled_from([None, "Ada"])),
    st.builds(lambda text, calls, replay: Message("assistant", text, tool_calls=tuple(calls), replay=replay), TEXTS,
              st.lists(CALLS, max_size=3), REPLAYS),
    st.builds(lambda identity, text: Message("tool", text, name="look_up", call_id=identity), IDS, TEXTS),
)  # fmt: skip


def requested(vendor: str, history: list[Message]) -> Any:
    environ = {f"{vendor.upper()}_API_KEY": KEY}
    model: Any = provider_for(f"{vendor}:m", environ)
    return model.request_body(Request(history))


def check_calls(turns: list[tuple[list[tuple[str, str]], list[str]]], form: str = "(?s).+") -> None:
    """Each turn's calls (id and name) have one result each, in the same order."""
    for calls, answered in turns:
        ids = [identity for identity, _ in calls]
        assert answered == ids
        assert len(set(ids)) == len(ids)
        assert all(re.fullmatch(form, identity) for identity in ids)
        assert all(re.fullmatch(r"[a-zA-Z_][a-zA-Z0-9_-]{0,63}", name) for _, name in calls)


@given(st.lists(MESSAGES, max_size=8), st.sampled_from(["openai", "mistral", "lmstudio"]))
def test_any_history_makes_a_request_that_servers_of_openais_wire_accept(history: list[Message], vendor: str) -> None:
    messages = requested(vendor, history)["messages"]
    turns: list[tuple[list[tuple[str, str]], list[str]]] = []
    for before, message in zip([None, *messages], messages, strict=False):
        if calls := message.get("tool_calls"):
            turns.append(([(made["id"], made["function"]["name"]) for made in calls], []))
        if message["role"] == "tool":
            assert before is not None
            assert before["role"] == "tool" or before.get("tool_calls")
            turns[-1][1].append(message["tool_call_id"])
        if vendor == "lmstudio" and before is not None and message["role"] != "tool":
            assert before["role"] != message["role"], "roles alternate"
    own = any(made.model == f"{vendor}:m" for message in history for made in message.tool_calls)
    check_calls(turns, "(?s).+" if own else "[a-zA-Z0-9]{9}" if vendor == "mistral" else "[a-zA-Z0-9_-]{1,40}")


@given(st.lists(MESSAGES, max_size=8))
def test_any_history_makes_a_request_that_anthropic_accepts(history: list[Message]) -> None:
    messages = requested("anthropic", history)["messages"]
    assert [message["role"] for message in messages] == ["user", "assistant"] * (len(messages) // 2) + ["user"]
    turns = []
    for message, following in pairwise(messages):
        uses = [block for block in message["content"] if block["type"] == "tool_use"]
        assert all(set(use) == {"type", "id", "name", "input"} for use in uses)
        found = [block["tool_use_id"] for block in following["content"] if block["type"] == "tool_result"]
        if message["role"] == "assistant":
            turns.append(([(use["id"], use["name"]) for use in uses], found))
    check_calls(turns)


@given(st.lists(MESSAGES, max_size=8))
def test_any_history_makes_a_request_that_gemini_accepts(history: list[Message]) -> None:
    contents = requested("gemini", history)["contents"]
    assert [content["role"] for content in contents] == ["user", "model"] * (len(contents) // 2) + ["user"]
    for content, following in pairwise(contents):
        made = [part["functionCall"] for part in content["parts"] if "functionCall" in part]
        answered = [part["functionResponse"] for part in following["parts"] if "functionResponse" in part]
        if content["role"] == "model":
            assert [(call.get("id"), call["name"]) for call in made] == [(a.get("id"), a["name"]) for a in answered]
