"""OpenAI's own SDK, unchanged, as a client of the chat, under daphne and under uvicorn."""

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import openai
import pytest
from openai import AsyncOpenAI, OpenAI

from ..support.servers import Site, Upstream, Uvicorn
from ..support.upstream import text
from .test_event_streams import new_token
from .test_outages import tuned

AGENTS = {
    "assistant": {"instructions": "Be brief."},
    "echo": {"model": "custom:echo"},
    "thinker": {"model": "custom:thinking@n=3"},
    "guide": {"model": "demo:tour"},
}
LIMITS = {"COMMAND_RATE": 100, "COMMAND_BURST": 100}


@pytest.fixture(params=["daphne", "uvicorn"])
def site(request: pytest.FixtureRequest, start_site: Callable[..., Site], stop_after: Callable[[Any], Any]) -> Site:
    settings = getattr(request.function, "settings", {})
    started = start_site(**tuned(MODEL="custom:told", AGENTS=AGENTS, **LIMITS | settings))
    if request.param == "daphne":
        return started
    started.stop()
    return stop_after(Uvicorn(started.env))  # type: ignore[no-any-return]


@pytest.fixture
def client(site: Site) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{site.url}/chat/v1", api_key=new_token(site), max_retries=0, timeout=60) as made:
        yield made


def with_settings(**settings: Any) -> Callable[[Any], Any]:
    def mark(test: Any) -> Any:
        test.settings = settings
        return test

    return mark


def user(text: str) -> Any:
    return {"role": "user", "content": text}


def ask(client: OpenAI, text: str, model: str = "assistant", **options: Any) -> Any:
    return client.chat.completions.create(model=model, messages=[user(text)], **options)


def conversations(site: Site, client: OpenAI) -> list[Any]:
    found = httpx.get(
        f"{site.url}/chat/api/conversations/", headers={"Authorization": f"Bearer {client.api_key}"}, trust_env=False
    )
    return list(found.json()["conversations"])


def test_the_models_are_the_agents(client: OpenAI) -> None:
    assert [model.id for model in client.models.list()] == list(AGENTS)


def test_a_whole_answer(site: Site, client: OpenAI) -> None:
    answer = ask(client, "Please: words@n=40", temperature=0.5, seed=7, n=1)
    (choice,) = answer.choices
    assert (choice.message.role, choice.message.content) == ("assistant", text(40))
    assert choice.finish_reason == "stop"
    assert answer.object == "chat.completion"
    assert answer.model == "assistant"
    assert answer.usage.completion_tokens == 40
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + 40
    assert ask(client, "Hello", model="thinker").choices[0].message.reasoning_content.startswith("t0 t1 t2")
    assert conversations(site, client) == [], "the lists of people hold no conversation of a program"


def test_a_streamed_answer(client: OpenAI, upstream: Upstream) -> None:
    chunks = []
    for chunk in ask(client, "flowing", stream=True, stream_options={"include_usage": True}):
        chunks.append(chunk)
        if len(chunks) == 3:  # the role and two pieces have come before the end
            upstream.release()
    *deltas, end, usage = chunks
    assert len({(chunk.id, chunk.created, chunk.model) for chunk in chunks}) == 1
    assert deltas[0].choices[0].delta.role == "assistant"
    said = "".join(chunk.choices[0].delta.content or "" for chunk in deltas)
    assert said == text(usage.usage.completion_tokens)
    assert {chunk.choices[0].finish_reason for chunk in deltas} == {None}
    assert end.choices[0].finish_reason == "stop"
    assert usage.choices == []

    deltas = [chunk.choices[0].delta for chunk in ask(client, "Hello", model="thinker", stream=True)]
    thought = "".join(getattr(delta, "reasoning_content", None) or "" for delta in deltas)
    assert thought.split() == ["t0", "t1", "t2"]
    assert "".join(delta.content or "" for delta in deltas) == text(3)


def test_a_long_fast_answer_is_whole(client: OpenAI) -> None:
    """More than what a socket gets without acknowledging."""
    said = "".join(chunk.choices[0].delta.content or "" for chunk in ask(client, "words@n=2000,chars=200", stream=True))
    assert said == text(2000, 200)
    assert ask(client, "words@n=2000,chars=200").choices[0].message.content == said


def test_the_history_is_sent_to_the_model(client: OpenAI, upstream: Upstream) -> None:
    messages: list[Any] = [
        {"role": "system", "content": "Speak Latin."},
        {"role": "developer", "content": "No tables."},
        user("What is your name?"),
        {"role": "assistant", "content": "Marcus."},
        {"role": "assistant", "content": None},
        {"role": "user", "content": [{"type": "text", "text": "Say it "}, {"type": "text", "text": "again"}]},
    ]
    answer = client.chat.completions.create(model="echo", messages=messages)
    assert answer.choices[0].message.content == "Say it again "
    sent = upstream.last()["body"]["messages"]
    told = "\n".join(f"{message['role']}: {message['content']}" for message in sent)
    assert [message["role"] for message in sent if "Marcus" in str(message["content"])] == ["assistant"]
    for said in ("Speak Latin.", "No tables.", "What is your name?", "Say it again"):
        assert [message["role"] for message in sent if said in str(message["content"])] == ["user"], told


def test_a_client_that_goes_stops_its_run(site: Site, client: OpenAI, upstream: Upstream) -> None:
    aborted = upstream.ended()["aborted"]
    stream = ask(client, "flowing", stream=True)
    for chunk in stream:
        if chunk.choices[0].delta.content:
            break
    stream.close()
    assert upstream.ended()["aborted"] == aborted + 1

    async def leave() -> None:
        async with AsyncOpenAI(base_url=str(client.base_url), api_key=client.api_key, max_retries=0) as other:
            asking = asyncio.create_task(other.chat.completions.create(model="assistant", messages=[user("flowing")]))
            while not upstream.stats()["active"]:
                await asyncio.sleep(0.01)
            asking.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asking

    asyncio.run(leave())
    assert upstream.ended()["aborted"] == aborted + 2


def test_an_answer_that_takes_long_holds_up_nobody(site: Site, client: OpenAI, upstream: Upstream) -> None:
    async def talk() -> None:
        async with AsyncOpenAI(base_url=str(client.base_url), api_key=client.api_key, max_retries=0) as other:
            waiting = [
                asyncio.create_task(other.chat.completions.create(model="assistant", messages=[user("flowing")]))
                for _ in range(3)
            ]
            while upstream.stats()["active"] < 3:
                await asyncio.sleep(0.01)
            assert len((await other.models.list()).data) == len(AGENTS)
            upstream.release()
            for answer in await asyncio.gather(*waiting):
                assert answer.choices[0].finish_reason == "stop"

    asyncio.run(talk())


def test_who_may_not_ask(site: Site, client: OpenAI) -> None:
    with pytest.raises(openai.AuthenticationError) as caught:
        ask(client.with_options(api_key="nct_wrong"), "Hello")
    assert (caught.value.code, caught.value.type) == ("invalid_api_key", "authentication_error")
    assert "www-authenticate" in caught.value.response.headers
    with pytest.raises(openai.AuthenticationError):
        client.with_options(api_key="nct_wrong").models.list()
    for scope in ("read", "write"):
        with pytest.raises(openai.PermissionDeniedError):
            ask(client.with_options(api_key=new_token(site, "ada", "--scopes", scope)), "Hello")
    with pytest.raises(openai.NotFoundError) as missing:
        ask(client, "Hello", model="gpt-4o")
    assert missing.value.code == "model_not_found"


def test_what_the_chat_cannot_do_is_refused(client: OpenAI, upstream: Upstream) -> None:
    started = upstream.stats()["started"]
    tool = {"type": "function", "function": {"name": "look_up", "parameters": {"type": "object"}}}
    picture: Any = {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:"}}]}
    result: Any = {"role": "tool", "tool_call_id": "1", "content": "7"}
    for options, word in (
        ({"n": 2}, "`n`"),
        ({"tools": [tool]}, "`tools`"),
        ({"messages": [picture]}, "image_url"),
        ({"messages": [user("a"), result, user("b")]}, "tool"),
        ({"messages": []}, "length"),
        ({"messages": [user("a"), {"role": "assistant", "content": "b"}]}, "must end"),
        ({"messages": [user("a")] * 501}, "500"),
        ({"messages": [user(" ")]}, "empty"),
    ):
        with pytest.raises(openai.BadRequestError, match=word) as caught:
            client.chat.completions.create(**{"model": "assistant", "messages": [user("Hello")]} | options)
        assert caught.value.type == "invalid_request_error"
    for messages in ([user("x" * 32_001)], [user("x" * 32_001), user("Hello")], [user("x" * 30_000)] * 100):
        with pytest.raises(openai.APIStatusError) as caught_long:
            client.chat.completions.create(model="assistant", messages=messages)
        assert caught_long.value.status_code == 413
    assert upstream.stats()["started"] == started


@with_settings(BUDGETS=[{"per": "user", "tokens": 200}])
def test_a_budget_that_is_used_up(site: Site, client: OpenAI) -> None:
    with pytest.raises(openai.RateLimitError) as during:  # an answer that reaches it is cut off
        ask(client, "words@n=300")
    assert during.value.code == "insufficient_quota"
    for stream in (False, True):
        with pytest.raises(openai.RateLimitError) as before:
            ask(client.with_options(max_retries=2), "words@n=40", stream=stream)
        assert before.value.code == "insufficient_quota"
        assert before.value.response.headers["x-should-retry"] == "false"


@with_settings(COMMAND_RATE=0.5, COMMAND_BURST=4)
def test_too_many_requests(client: OpenAI) -> None:
    with pytest.raises(openai.RateLimitError) as caught:
        for _ in range(20):
            client.models.list()
    assert caught.value.code == "rate_limit_exceeded"
    assert int(caught.value.response.headers["retry-after"]) >= 1


@pytest.mark.parametrize("stream", [False, True])
def test_a_provider_that_fails(client: OpenAI, upstream: Upstream, stream: bool) -> None:
    with pytest.raises(openai.InternalServerError) as caught:
        ask(client, "status@code=401", stream=stream)
    assert (caught.value.status_code, caught.value.type) == (502, "server_error")
    assert "sk-" not in str(caught.value)
    with pytest.raises(openai.APIError) as broken:
        for chunk in ask(client, "fails@n=20,delay=20", stream=stream):
            assert chunk.choices
    assert (broken.value.type, isinstance(broken.value, openai.APIStatusError)) == ("server_error", not stream)


@pytest.mark.parametrize("stream", [False, True])
def test_an_approval_is_an_error(client: OpenAI, stream: bool) -> None:
    with pytest.raises(openai.APIError, match="approval") as caught:
        list(ask(client, "approval", model="guide", stream=stream))
    assert caught.value.code == "approval_required"
