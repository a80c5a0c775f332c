"""OpenAI's own SDK, unchanged, as a client of the chat, under daphne and under uvicorn."""

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import openai
import pytest
from openai import AsyncOpenAI, OpenAI

from ..support import servers
from ..support.servers import Database, Site, Upstream, Uvicorn
from ..support.upstream import text
from .test_event_streams import new_token
from .test_outages import tuned

AGENTS = {
    "assistant": {"instructions": "Be brief."},
    "echo": {"model": "custom:echo"},
    "thinker": {"model": "custom:thinking@n=3"},
    "clerk": {"agent": "tests.sites.clerk.agent"},
}
LIMITS = {"COMMAND_RATE": 1000, "COMMAND_BURST": 1000}


@pytest.fixture(scope="module", params=["daphne", "uvicorn"])
def site(request: pytest.FixtureRequest, database: Database, upstream: Upstream) -> Iterator[Site]:
    kind = {"daphne": Site, "uvicorn": Uvicorn}[request.param]
    started = kind(servers.site_environment(database, upstream, **settings()))
    with servers.running(started):
        yield started


def settings(**more: Any) -> dict[str, str]:
    return tuned(MODEL="custom:told", AGENTS=AGENTS, **LIMITS | more)


@pytest.fixture
def client(site: Site) -> Iterator[OpenAI]:
    with client_of(site) as made:
        yield made


def client_of(site: Site) -> OpenAI:
    return OpenAI(base_url=f"{site.url}/chat/v1", api_key=new_token(site), max_retries=0, timeout=60)


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


# --- Responses


def respond(client: OpenAI, text: str, model: str = "assistant", **options: Any) -> Any:
    return client.responses.create(model=model, input=text, **options)


def test_a_whole_response(site: Site, client: OpenAI) -> None:
    response = respond(client, "Please: words@n=40", temperature=0.5, store=True, metadata={"a": "b"})
    assert (response.output_text, response.status, response.object) == (text(40), "completed", "response")
    assert (response.model, response.error, response.incomplete_details) == ("assistant", None, None)
    assert response.usage.output_tokens == 40
    assert response.usage.total_tokens == response.usage.input_tokens + 40
    thought, said = respond(client, "Hello", model="thinker").output
    assert (thought.type, thought.content[0].text) == ("reasoning", "t0 t1 t2 ")
    assert (said.type, said.role, said.content[0].text) == ("message", "assistant", text(3))
    assert conversations(site, client) == []


def test_a_streamed_response(client: OpenAI, upstream: Upstream) -> None:
    events = []
    for event in respond(client, "flowing", stream=True):
        events.append(event)
        if len(events) == 5:  # a delta has come before the end
            upstream.release()
    kinds = [event.type for event in events]
    assert kinds[:4] == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
    ]
    assert kinds[-4:] == [
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]
    assert [event.sequence_number for event in events] == list(range(len(events)))
    said = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    whole = events[-1].response
    assert whole.output_text == said == text(whole.usage.output_tokens)
    assert {event.response.id for event in (events[0], events[-1])} == {whole.id}

    with client.responses.stream(model="thinker", input="Hello") as stream:  # the SDK puts it together itself
        thought = "".join(event.delta for event in stream if event.type == "response.reasoning_text.delta")
        final = stream.get_final_response()
    assert (thought, final.output_text) == ("t0 t1 t2 ", text(3))


def test_a_response_is_continued(client: OpenAI, upstream: Upstream) -> None:
    first = respond(client, "My name is Marcus.", model="echo", instructions="Speak Latin.")
    items: list[Any] = [{"role": "system", "content": "No tables."}, {"role": "user", "content": "And yours?"}]
    second = client.responses.create(model="echo", input=items, previous_response_id=first.id)
    assert second.output_text.endswith("And yours? ")
    assert second.previous_response_id == first.id
    asked = ("user", "Speak Latin.\n\nMy name is Marcus.")
    answered = ("assistant", "Speak Latin.\n\nMy name is Marcus. ")
    assert told(upstream) == [asked, answered, ("user", "No tables.\n\nAnd yours?")]
    # Again after the first, as if the second had never been; then with the items that the SDK gives back.
    respond(client, "Go on.", model="echo", previous_response_id=first.id)
    assert told(upstream) == [asked, answered, ("user", "Go on.")]
    thought = respond(client, "Hello", model="thinker")
    back = [{"role": "user", "content": "Hello"}, *thought.output, {"role": "user", "content": "Again"}]
    assert client.responses.create(model="echo", input=back).output_text == "Again "
    assert ("assistant", text(3)) in told(upstream)


def told(upstream: Upstream) -> list[tuple[str, str]]:
    """What the model was sent, without the agent's own instructions."""
    sent = upstream.last()["body"]["messages"]
    return [(each["role"], str(each["content"])) for each in sent if each["role"] != "system"]


def test_only_own_responses_are_continued(site: Site, client: OpenAI) -> None:
    first = respond(client, "Hello", model="echo")
    other = client.with_options(api_key=new_token(site, "bob"))
    for asking, previous in ((other, first.id), (client, "resp_1"), (client, f"resp_{'0' * 32}"), (client, "")):
        with pytest.raises(openai.BadRequestError) as caught:
            respond(asking, "Hello", previous_response_id=previous)
        assert caught.value.code == "previous_response_not_found"
    with pytest.raises(openai.NotFoundError) as missing:
        respond(client, "Hello", model="gpt-4o", previous_response_id=first.id)
    assert missing.value.code == "model_not_found"


def test_a_client_that_closes_a_response_stops_its_run(client: OpenAI, upstream: Upstream) -> None:
    aborted = upstream.ended()["aborted"]
    with respond(client, "flowing", stream=True) as stream:
        for event in stream:
            if event.type == "response.output_text.delta":
                break
    assert upstream.ended()["aborted"] == aborted + 1


def test_responses_that_the_chat_cannot_give_are_refused(client: OpenAI, upstream: Upstream) -> None:
    started = upstream.stats()["started"]
    tool = {"type": "function", "name": "look_up", "parameters": {"type": "object"}}
    result = {"type": "function_call_output", "call_id": "1", "output": "7"}
    picture = {"role": "user", "content": [{"type": "input_image", "image_url": "data:"}]}
    for options, word in (
        ({"tools": [tool]}, "`tools`"),
        ({"background": True}, "`background`"),
        ({"conversation": "conv_1"}, "`conversation`"),
        ({"input": [result]}, "function_call_output"),
        ({"input": [picture]}, "input_image"),
        ({"input": []}, "length"),
        ({"input": [{"role": "assistant", "content": "a"}]}, "must end"),
        ({"input": " "}, "empty"),
        ({"input": 7}, "int"),
    ):
        with pytest.raises(openai.BadRequestError, match=word) as caught:
            client.responses.create(**{"model": "assistant", "input": "Hello"} | options)
        assert caught.value.type == "invalid_request_error"
    assert upstream.stats()["started"] == started


def test_a_response_that_fails(client: OpenAI) -> None:
    for stream in (False, True):
        with pytest.raises(openai.InternalServerError) as caught:
            respond(client, "status@code=401", stream=stream)
        assert caught.value.status_code == 502
    with pytest.raises(openai.BadRequestError) as waiting:
        respond(client, "refund", model="clerk")
    assert waiting.value.code == "approval_required"
    *_, last = respond(client, "refund", model="clerk", stream=True)
    assert last.response.error.code == "approval_required"
    *_, last = respond(client, "fails@n=20,delay=20", stream=True)
    assert (last.type, last.response.status, last.response.output[-1].status) == (
        "response.failed",
        "failed",
        "incomplete",
    )
    assert last.response.error.message


def test_the_tools_of_the_agent_are_used(client: OpenAI) -> None:
    assert respond(client, "order", model="clerk").output_text.split("\n")[-1].startswith("Result: ")


# --- Limits


def test_a_budget_that_is_used_up(start_site: Callable[..., Site]) -> None:
    site = start_site(**settings(BUDGETS=[{"per": "user", "tokens": 200}]))
    client = client_of(site)
    with pytest.raises(openai.RateLimitError) as during:  # an answer that reaches it is cut off
        ask(client, "words@n=300")
    assert during.value.code == "insufficient_quota"
    for stream in (False, True):
        with pytest.raises(openai.RateLimitError) as before:
            ask(client.with_options(max_retries=2), "words@n=40", stream=stream)
        assert before.value.code == "insufficient_quota"
        assert before.value.response.headers["x-should-retry"] == "false"
    with pytest.raises(openai.RateLimitError):
        respond(client, "Hello")
    question = {"id": "1", "role": "user", "content": "Hello", "parts": [{"type": "text", "text": "Hello"}]}
    body = {"id": "chat", "threadId": "thread", "runId": "run", "messages": [question]}
    for front_end in ("ai-sdk", "ag-ui"):
        url = f"{site.url}/chat/{front_end}/assistant"
        refused = httpx.post(
            url, json=body, headers={"Authorization": f"Bearer {client.api_key}"}, trust_env=False, timeout=60
        )
        assert (refused.status_code, refused.json()["code"]) == (429, "budget")


def test_too_many_requests(start_site: Callable[..., Site]) -> None:
    client = client_of(start_site(**settings(COMMAND_RATE=0.5, COMMAND_BURST=4)))
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
        list(ask(client, "refund", model="clerk", stream=stream))
    assert caught.value.code == "approval_required"
