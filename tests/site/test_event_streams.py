"""The API as other front ends use it: tokens, commands over HTTP, and streams, under daphne and under uvicorn."""

import asyncio
import json
import random
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from ..support import servers
from ..support.client import signed_in
from ..support.event_stream import Stream
from ..support.servers import Site, Upstream, Uvicorn
from .test_outages import tuned

FRIEND = "https://app.example.org"
SETTINGS = {"MODEL": "custom:told", "CORS_ORIGINS": [FRIEND]}
"""The model is the last word of the question."""


@pytest.fixture(params=["daphne", "uvicorn"])
def site(request: pytest.FixtureRequest, start_site: Callable[..., Site], stop_after: Callable[[Any], Any]) -> Site:
    started = start_site(**tuned(**SETTINGS))
    if request.param == "daphne":
        return started
    started.stop()
    return stop_after(Uvicorn(started.env))  # type: ignore[no-any-return]


def new_token(site: Site, name: str = "ada", *options: str) -> str:
    printed = servers.manage(site.env, "nous_token", name, *options)
    assert printed.count("\n") == 1
    return printed.strip()


class Program:
    """A front end that knows nothing but a token."""

    def __init__(self, site: Site, token: str, http: httpx.AsyncClient) -> None:
        self.site, self.token, self.http = site, token, http

    async def call(self, method: str, path: str, status: int = 200, **body: Any) -> Any:
        answer = await self.http.request(method, f"/chat/api/{path}", json=body or None)
        assert answer.status_code == status, answer.text
        assert answer.headers["Cache-Control"] == "private, no-store"
        return answer.json()

    async def new_conversation(self) -> str:
        return str((await self.call("POST", "conversations/", 201))["id"])

    async def post(self, conversation: str, text: str, status: int = 201, **fields: Any) -> Any:
        fields = {"client_id": str(uuid.uuid4()), "text": text} | fields
        return await self.call("POST", f"conversations/{conversation}/messages/", status, **fields)

    async def messages(self, conversation: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (await self.call("GET", f"conversations/{conversation}/messages/?limit=100"))[
            "messages"
        ]
        return found

    def stream(self, conversation: str = "", **headers: str) -> Stream:
        path = f"conversations/{conversation}/" if conversation else ""
        return Stream(self.site, f"/chat/api/{path}stream/", Authorization=f"Bearer {self.token}", **headers)


@asynccontextmanager
async def program(site: Site, token: str | None = None) -> AsyncIterator[Program]:
    token = token or new_token(site)
    headers = {"Authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(base_url=site.url, headers=headers, timeout=60, trust_env=False, verify=False) as http:
        yield Program(site, token, http)


def as_read(stream: Stream) -> list[tuple[str, str, list[Any]]]:
    ordered = sorted(stream.messages.values(), key=lambda message: message["seq"])
    return [(message["id"], message["text"], message["parts"]) for message in ordered]


def as_stored(messages: list[dict[str, Any]]) -> list[tuple[str, str, list[Any]]]:
    return [(message["id"], message["text"], message["parts"]) for message in messages]


def test_a_conversation_without_a_socket(site: Site) -> None:
    """Two answers: what was streamed is what is stored, and ids never repeat."""

    async def talk() -> None:
        async with program(site) as ada:
            conversation = await ada.new_conversation()
            async with ada.stream() as inbox, ada.stream(conversation) as stream:
                await stream.hear("snapshot")
                assert stream.events[0]["type"] == "snapshot"
                assert stream.head["content-type"] == "text/event-stream"
                assert stream.head["cache-control"] == "no-store"
                assert stream.head["x-accel-buffering"] == "no"
                assert "content-encoding" not in stream.head
                client_id = str(uuid.uuid4())
                ack = await ada.post(conversation, "Please: words@n=40,delay=5", client_id=client_id, ref="1")
                again = await ada.post(conversation, "Please: words@n=40,delay=5", client_id=client_id, ref="1")
                assert ack == again
                assert (ack["type"], ack["ref"], ack["client_id"], ack["refused"]) == ("ack", "1", client_id, None)
                await stream.hear("run.finished")
                assert stream.delta_chars > 0
                assert stream.healed == stream.finished[0]["message"]["text"], "the deltas alone are the text"
                await ada.post(conversation, "words@n=3")
                await stream.hear("run.finished", 2)
                assert as_read(stream) == as_stored(await ada.messages(conversation))
                assert len(set(stream.parser.ids)) == len(stream.parser.ids) == len(stream.events)
                await inbox.hear("conversation.updated")

    asyncio.run(talk())


@pytest.mark.parametrize("seed", range(3))
def test_a_stream_that_is_cut_anywhere_and_resumed_is_what_is_stored(site: Site, upstream: Upstream, seed: int) -> None:
    chance = random.Random(seed)

    async def talk() -> None:
        async with program(site) as ada:
            conversation = await ada.new_conversation()
            stream = ada.stream(conversation)
            assert await stream.open() == 200
            await stream.hear("snapshot")
            await ada.post(conversation, "flowing")
            for _ in range(15):  # a user may open 25 at once
                await stream.cut_after(chance.randint(1, 5000))
                assert await stream.open() == 200
            await stream.hear("run.state", len(stream.of_type("run.state")) + 1)
            upstream.release()
            await stream.hear("run.finished")
            assert stream.healed == stream.finished[0]["message"]["text"], "the state and the deltas are the text"
            assert as_read(stream) == as_stored(await ada.messages(conversation))
            assert len(set(stream.parser.ids)) == len(stream.parser.ids)
            stream.close()

    asyncio.run(talk())


def test_messages_that_a_reader_missed_are_sent_however_many_they_are(site: Site) -> None:
    async def talk() -> None:
        async with program(site) as ada:
            conversation = await ada.new_conversation()
            await ada.call("PATCH", f"conversations/{conversation}/", answers="off")
            await ada.post(conversation, "0")
            stream = ada.stream(conversation)
            assert await stream.open() == 200
            await stream.hear("snapshot")
            stream.close()
            for number in range(1, 61):  # a snapshot holds 50
                await ada.post(conversation, str(number))
            assert await stream.open() == 200
            await stream.hear("history.page")
            assert [text for _, text, _ in as_read(stream)] == [str(number) for number in range(61)]
            stream.close()

    asyncio.run(talk())


def test_commands_over_http_are_seen_by_sockets(site: Site) -> None:
    async def talk() -> None:
        async with signed_in(site, "ada") as person, program(site) as ada:
            conversation = await ada.new_conversation()
            path = f"conversations/{conversation}"
            async with person.socket(conversation) as socket:
                ack = await ada.post(conversation, "flowing")
                run = (await socket.hear("run.started"))["run"]
                await socket.hear("run.delta", 2)
                assert (await ada.call("POST", f"{path}/runs/{run}/stop/"))["run"] == run
                finished = await socket.hear("run.finished")
                assert (finished["status"], finished["stopped_by"]["name"]) == ("stopped", "ada")
                assert (await ada.call("POST", f"{path}/runs/{run}/stop/", 409))["code"] == "run_over"

                answer = finished["message"]["id"]
                await ada.call("PATCH", f"{path}/messages/{ack['message']}/", text="words@n=2")
                assert (await socket.hear("message.updated"))["message"]["text"] == "words@n=2"
                again = await ada.call("POST", f"{path}/runs/", 201, message=answer)
                assert (await socket.hear("run.finished", 2))["run"] == again["run"]
                await ada.call("POST", f"{path}/messages/{answer}/choose/")
                assert (await socket.hear("message.updated", 2))["message"]["id"] == answer
                await ada.call("DELETE", f"{path}/messages/{answer}/")
                assert (await socket.hear("message.deleted"))["message"]["id"] == answer
                await ada.call("POST", f"{path}/messages/{answer}/restore/")
                assert (await socket.hear("message.updated", 3))["message"]["id"] == answer
                await ada.call("POST", f"{path}/read/", seq=1)
                for wrong in ({"seq": "1"}, {"seq": -1}, {}):
                    assert (await ada.call("POST", f"{path}/read/", 400, **wrong))["code"] == "invalid"

    asyncio.run(talk())


def test_a_long_message_may_be_escaped(site: Site) -> None:
    async def talk() -> None:
        async with program(site) as ada:
            conversation = await ada.new_conversation()
            await ada.call("PATCH", f"conversations/{conversation}/", answers="off")
            text = "\U0001f600" * 32_000
            body = json.dumps({"client_id": str(uuid.uuid4()), "text": text})
            assert len(body) > 12 * 32_000
            headers = {"Content-Type": "application/json"}
            url = f"/chat/api/conversations/{conversation}/messages/"
            assert (await ada.http.post(url, content=body, headers=headers)).status_code == 201
            assert (await ada.messages(conversation))[0]["text"] == text
            assert (await ada.post(conversation, text + "!", 413))["code"] == "too_large"
            assert (await ada.post(conversation, "x" * 10**6, 413))["code"] == "too_large"

    asyncio.run(talk())


def test_who_may_not_read_gets_a_status_before_the_stream_begins(site: Site) -> None:
    reading, writing = new_token(site, "ada", "--scopes", "read"), new_token(site, "ada", "--scopes", "write")

    async def refused(stream: Stream) -> tuple[int, str]:
        status = await stream.open()
        stream.close()
        assert stream.head["cache-control"] == "private, no-store"
        assert ("www-authenticate" in stream.head) == (status == 401)
        return status, json.loads(stream.body)["code"]

    async def talk() -> None:
        async with program(site) as ada, program(site, new_token(site, "eve")) as eve:
            conversation = await ada.new_conversation()
            path = f"/chat/api/conversations/{conversation}/stream/"
            assert await refused(Stream(site, path)) == (401, "unauthorized")
            assert await refused(Stream(site, path, Authorization="Bearer nct_wrong")) == (401, "unauthorized")
            assert await refused(Stream(site, path, Cookie="sessionid=wrongwrongwrongwrong")) == (401, "unauthorized")
            assert await refused(eve.stream(conversation)) == (404, "not_found")
            assert await refused(ada.stream(str(uuid.uuid4()))) == (404, "not_found")
            assert await refused(Stream(site, path, Authorization=f"Bearer {writing}")) == (403, "forbidden")
            async with program(site, reading) as reader:
                assert (await reader.post(conversation, "Hello", 403))["code"] == "forbidden"
                async with reader.stream(conversation) as stream:
                    await stream.hear("snapshot")

    asyncio.run(talk())


def test_a_stream_ends_when_its_token_is_revoked_or_its_reader_removed(site: Site) -> None:
    async def talk() -> None:
        async with signed_in(site, "ada") as person, program(site) as ada, program(site, new_token(site, "bob")) as bob:
            conversation = await ada.new_conversation()
            people = f"conversations/{conversation}/participants/"
            member = await ada.call("POST", people, 201, username="bob")
            async with ada.stream(conversation) as own, bob.stream(conversation) as others:
                await own.hear("snapshot")
                await others.hear("snapshot")
                await ada.http.delete(f"/chat/api/{people}{member['id']}/")
                assert (await others.end())["code"] == "forbidden"
                page = (await person.http.get("/chat/tokens/")).text
                revoke = page.partition('action="/chat/tokens/')[2].partition("/chat/tokens/")[2].partition('"')[0]
                answer = await person.http.post(f"/chat/tokens/{revoke}", headers=person.csrf)
                assert answer.status_code == 302
                last = await own.end()
                assert (last["type"], last["code"]) == ("error", "unauthorized")
                assert own.parser.retry
            assert await own.open() == 401
            own.close()
            assert (await ada.http.get("/chat/api/conversations/")).status_code == 401

    asyncio.run(talk())


def test_a_restart_ends_streams_and_says_when_to_come_back(site: Site) -> None:
    async def talk() -> None:
        async with program(site) as ada, ada.stream() as stream:
            await stream.hear("snapshot")
            site.process.terminate()
            last = await stream.end()
            assert stream.of_type("closing")
            assert (last["type"], last["code"]) == ("error", "unavailable")
            assert stream.parser.retry == 1000 * last["retry_after"]

    asyncio.run(talk())


def test_pages_of_other_sites_need_permission_and_a_token(site: Site) -> None:
    async def talk() -> None:
        async with signed_in(site, "ada") as person, program(site) as ada:
            url, asking = "/chat/api/conversations/", {"Access-Control-Request-Method": "POST"}
            asked = await ada.http.options(url, headers={"Origin": FRIEND} | asking)
            assert asked.status_code == 204
            assert asked.headers["Access-Control-Allow-Origin"] == FRIEND
            assert "authorization" in asked.headers["Access-Control-Allow-Headers"]
            for origin in ("https://evil.example", "null", f"{FRIEND}:8443", FRIEND.upper()):
                asked = await ada.http.options(url, headers={"Origin": origin} | asking)
                assert (asked.status_code, "Access-Control-Allow-Origin" in asked.headers) == (405, False)
                read = await ada.http.get(url, headers={"Origin": origin})
                assert "Access-Control-Allow-Origin" not in read.headers
            read = await ada.http.get(url, headers={"Origin": FRIEND})
            assert (read.status_code, read.headers["Access-Control-Allow-Origin"]) == (200, FRIEND)
            wrong = await ada.http.get(url, headers={"Origin": FRIEND, "Authorization": "Bearer nct_wrong"})
            assert (wrong.status_code, wrong.headers["Access-Control-Allow-Origin"]) == (401, FRIEND)
            with_cookies = await person.http.get(url, headers={"Origin": FRIEND})
            assert "Access-Control-Allow-Origin" not in with_cookies.headers
            asked = await ada.http.options("/chat/", headers={"Origin": FRIEND} | asking)
            assert "Access-Control-Allow-Origin" not in asked.headers, "a page, not the API"
            for answer in (read, wrong, with_cookies, asked):
                assert "Access-Control-Allow-Credentials" not in answer.headers

            stream = ada.stream(Origin=FRIEND)
            assert (await stream.open(), stream.head["access-control-allow-origin"]) == (200, FRIEND)
            stream.close()
            cookie = "; ".join(f"{name}={value}" for name, value in person.http.cookies.items())
            for origin, status in ((FRIEND, 403), (f"http://127.0.0.1:{site.port}", 200)):
                stream = Stream(site, "/chat/api/stream/", Cookie=cookie, Origin=origin)
                assert await stream.open() == status
                stream.close()

    asyncio.run(talk())
