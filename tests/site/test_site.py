"""The site as people meet it: daphne, a file or server database, real sockets, a real provider."""

import asyncio
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
import websockets

from ..sites import recorded
from ..support import servers
from ..support.client import all_said, last_message, signed_in
from ..support.servers import Site, Upstream
from ..support.upstream import text

StartSite = Callable[..., Site]

FLOWING = "custom:flowing"
WITHOUT_TICKS = {"DJANGO_SETTINGS_MODULE": "tests.sites.tuned", "NOUS_CHAT": '{"HOST_TIMEOUT": 3600}', "TICK": "3600"}
"""Nothing is seen by looking again: what arrives was told."""


def cases() -> list[Any]:
    """The recordings that ended without an error: name, what they must yield, how many bytes they have."""
    found = [
        pytest.param(slug, as_shown(case["expected"]), case["body_bytes"], id=slug)
        for slug, case in recorded.recordings()
        if case["expected"]["error"] is None and case["status"] == 200
    ]
    return found or [pytest.param("", {}, 0, marks=pytest.mark.skip(reason="the recordings are not here"))]


def as_shown(expected: dict[str, Any]) -> dict[str, Any]:
    """`expected` counts `<think>` tags as text, as they stand on the wire; the engine splits them off."""
    thinking, tag, text_after = expected["text"].partition("</think>")
    if not tag or not thinking.startswith("<think>"):
        return expected
    return expected | {"thinking": thinking.removeprefix("<think>").strip(), "text": text_after.lstrip()}


@pytest.fixture(scope="module")
def recorded_site(database: Any, replay: Upstream) -> Any:
    site = Site(servers.environment(DATABASE_URL=database.copy(), **recorded.environment(replay.url)))
    with servers.running(site):
        yield site


@pytest.mark.parametrize("whole", [True, False], ids=["whole", "in pieces"])
@pytest.mark.parametrize(("slug", "expected", "size"), cases())
def test_a_recorded_answer_is_shown_and_stored_exactly(
    recorded_site: Site, slug: str, expected: dict[str, Any], size: int, whole: bool
) -> None:
    pieces = "" if whole else "@split=1" if size < 30_000 else "@split=7"

    async def talk() -> None:
        async with signed_in(recorded_site, "ada") as ada:
            conversation = await ada.new_conversation(agent=slug + pieces)
            async with ada.socket(conversation) as socket:
                await socket.say("Hello")
                finished = await socket.hear("run.finished")
                shown = "".join(d.get("text", "") for d in socket.of_type("run.delta"))
            stored = (await ada.messages(conversation))[-1]
            assert shown == stored["text"] == finished["message"]["text"] == expected["text"]
            assert stored["thinking"].strip() == expected["thinking"].strip()
            assert stored["run"]["finish_reason"] == (expected["finish_reason"] and str(expected["finish_reason"]))
            usage = finished["usage"]
            if expected["usage"] is None:
                assert usage is None
            else:
                for name in ("input_tokens", "output_tokens", "total_tokens"):
                    assert usage[name] == expected["usage"].get(name)

    asyncio.run(talk())


def test_sign_in_is_needed_and_leads_to_the_chat(start_site: StartSite) -> None:
    site = start_site()
    with httpx.Client(base_url=site.url, trust_env=False) as http:
        answer = http.get("/", follow_redirects=True)
        assert answer.url.path == "/accounts/login/"
        assert http.get("/chat/api/conversations/").status_code == 401
    with pytest.raises(websockets.ConnectionClosed) as closed:

        async def connect() -> None:
            async with websockets.connect(f"ws://127.0.0.1:{site.port}/ws/chat/", proxy=None) as socket:
                await socket.recv()

        asyncio.run(connect())
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 4401


def test_a_page_of_another_site_cannot_open_a_socket(start_site: StartSite) -> None:
    site = start_site()

    async def connect(origin: str) -> int:
        try:
            async with websockets.connect(f"ws://127.0.0.1:{site.port}/ws/chat/", origin=origin, proxy=None) as socket:  # type: ignore[arg-type]
                await socket.recv()
        except websockets.InvalidStatus as refused:
            return refused.response.status_code
        except websockets.ConnectionClosed as closed:
            assert closed.rcvd is not None
            return closed.rcvd.code
        return 0

    for origin in ("https://evil.example", f"https://127.0.0.1:{site.port}", "http://127.0.0.1:1"):
        assert asyncio.run(connect(origin)) == 403
    assert asyncio.run(connect(f"http://127.0.0.1:{site.port}")) == 4401


def test_stop_is_seen_by_the_provider_at_once(start_site: StartSite, upstream: Upstream) -> None:
    site = start_site(NOUS_CHAT_MODEL=FLOWING, **WITHOUT_TICKS)
    aborted = upstream.ended()["aborted"]

    async def talk() -> None:
        async with signed_in(site, "ada") as ada:
            conversation = await ada.new_conversation()
            async with ada.socket(conversation) as socket:
                await socket.say("Hello")
                run = (await socket.hear("run.started"))["run"]
                await socket.hear("run.delta", 3)
                await socket.send("run.stop", run=run)
                finished = await socket.hear("run.finished")
            assert finished["status"] == "stopped"
            assert upstream.ended()["aborted"] == aborted + 1
            stored = (await ada.messages(conversation))[-1]
            assert stored["text"] == finished["message"]["text"]
            assert text(10_000).startswith(stored["text"])

    asyncio.run(talk())


def test_closing_the_browser_ends_the_run_after_the_grace(start_site: StartSite, upstream: Upstream) -> None:
    site = start_site(NOUS_CHAT_MODEL=FLOWING, DJANGO_SETTINGS_MODULE="tests.sites.impatient")

    async def talk() -> None:
        async with signed_in(site, "ada") as ada:
            conversation = await ada.new_conversation()
            async with ada.socket(conversation) as socket:
                await socket.say("Hello")
                await socket.hear("run.delta", 3)
            async with asyncio.timeout(60):
                while (stored := (await ada.messages(conversation))[-1])["run"]["status"] == "running":
                    await asyncio.sleep(0.1)
            assert (stored["run"]["status"], stored["run"]["error"]["code"]) == ("stopped", "abandoned")
            assert stored["text"]

    asyncio.run(talk())
    upstream.ended()


def test_two_people_on_two_processes_see_the_same_stream(
    start_site: StartSite, stop_after: Callable[[Any], Any], redis: str, upstream: Upstream
) -> None:
    site = start_site(NOUS_CHAT_MODEL=FLOWING, REDIS_URL=redis)
    other = stop_after(site.second_process())

    async def talk() -> None:
        async with signed_in(site, "ada") as ada, signed_in(site, "bob") as bob:
            conversation = await ada.new_conversation()
            add_participant(site, conversation, "bob")
            async with ada.socket(conversation) as one, bob.socket(conversation, other) as two:
                await one.say("Hello")
                await two.hear("run.delta", 5)
                async with bob.socket(conversation, other) as late, ada.socket(conversation, other) as later:
                    state = await late.hear("run.state")
                    await later.hear("run.state")
                    upstream.release()
                    for socket in (one, two, late, later):
                        whole = all_said(await socket.hear("run.finished"))
                        assert socket.transcript == [("user", "Hello"), ("assistant", whole)]
                assert whole.startswith(state["message"]["text"])
                assert two.healed == whole[: len(two.healed)]
                assert "".join(d["text"] for d in two.of_type("run.delta")) == whole

    asyncio.run(talk())


def test_stop_and_sync_reach_the_owner_from_another_process(
    start_site: StartSite, stop_after: Callable[[Any], Any], redis: str, upstream: Upstream
) -> None:
    site = start_site(NOUS_CHAT_MODEL=FLOWING, REDIS_URL=redis, **WITHOUT_TICKS)
    other = stop_after(site.second_process())
    aborted = upstream.ended()["aborted"]

    async def talk() -> None:
        async with signed_in(site, "ada") as ada:
            conversation = await ada.new_conversation()
            async with ada.socket(conversation) as one, ada.socket(conversation, other) as two:
                await one.say("Hello")
                run = (await two.hear("run.started"))["run"]
                await two.hear("run.delta", 3)
                await two.send("run.sync", run=run, ref="sync")
                assert text(10_000).startswith((await two.answered("sync"))["message"]["text"])
                await two.send("run.stop", run=run)
                assert (await one.hear("run.finished"))["stopped_by"]["name"] == "ada"
                assert upstream.ended()["aborted"] == aborted + 1
                await two.hear("run.finished")
                assert one.transcript == two.transcript

    asyncio.run(talk())


def test_what_a_killed_process_was_writing_is_kept_and_marked(start_site: StartSite) -> None:
    soon_declared_dead = {"DJANGO_SETTINGS_MODULE": "tests.sites.tuned", "NOUS_CHAT": '{"HOST_TIMEOUT": 5}'}
    site = start_site(NOUS_CHAT_MODEL=FLOWING, **soon_declared_dead)

    async def begin() -> tuple[str, str]:
        async with signed_in(site, "ada") as ada:
            conversation = await ada.new_conversation()
            async with ada.socket(conversation) as socket:
                await socket.say("Hello")
                await socket.hear("run.delta")  # now there is a row to read
                while len(checkpoint := (await ada.messages(conversation))[-1]["text"]) <= 100:
                    await asyncio.sleep(0.1)
                site.kill()
                return conversation, checkpoint

    conversation, checkpoint = asyncio.run(begin())
    again = site.restarted()
    with servers.running(again):

        async def look() -> None:
            async with signed_in(again, "ada") as ada, ada.socket(conversation) as socket:
                assert socket.snapshot is None or socket.snapshot["runs"]
                finished = await socket.hear("run.finished")
                assert (finished["status"], finished["error"]["code"]) == ("interrupted", "host_lost")
                stored = (await ada.messages(conversation))[-1]
                assert stored["text"] == finished["message"]["text"]
                assert stored["text"].startswith(checkpoint)
                assert text(10_000).startswith(stored["text"])
                await socket.send("run.start", message=stored["id"], ref="again")
                assert (await socket.answered("again"))["type"] == "ack"

        asyncio.run(look())


def test_sigterm_lets_an_answer_finish_and_tells_browsers_to_come_back(
    start_site: StartSite, upstream: Upstream
) -> None:
    site = start_site(NOUS_CHAT_MODEL=FLOWING)

    async def talk() -> str:
        async with signed_in(site, "ada") as ada:
            conversation = await ada.new_conversation()
            async with ada.socket(conversation) as socket:
                await socket.say("Hello")
                await socket.hear("run.delta", 3)
                site.process.send_signal(signal.SIGTERM)
                closing = await socket.hear("closing")
                assert closing["reconnect_in"] > 0
                assert await socket.wait_closed() == 4012, "daphne"
            return conversation

    conversation = asyncio.run(talk())
    upstream.release()
    site.process.wait(60)
    stored = last_message(site.restarted(), conversation)
    assert (stored["run"]["status"], stored["text"]) == ("completed", text(upstream.stats()["words"]))


def test_the_json_endpoints(start_site: StartSite) -> None:
    site = start_site()

    async def talk() -> None:
        async with signed_in(site, "ada") as ada, signed_in(site, "eve") as eve:
            conversation = await ada.new_conversation(title="Plans")
            (listed,) = (await ada.http.get("/chat/api/conversations/")).json()["conversations"]
            assert (listed["id"], listed["title"]) == (conversation, "Plans")
            blank = await ada.http.post("/chat/api/conversations/", json={"title": " \n"}, headers=ada.csrf)
            assert blank.json()["title"] == "", "its first words will be its title"
            assert listed["websocket"] == f"/ws/chat/{conversation}/"
            assert listed["url"] == f"/chat/{conversation}/"
            assert (await ada.http.get(listed["url"])).status_code == 200
            for address in (f"/chat/{conversation}/", f"/chat/api/conversations/{conversation}/messages/"):
                assert (await eve.http.get(address)).status_code == 404
            wrong: list[tuple[Any, int]] = [(b"{", 400), (b'{"title": 5}', 400), (b'{"agent": "x"}', 400), (b"[]", 400)]
            wrong.append((b'{"title": "%s"}' % (b"x" * 100_000), 413))
            for body, status in wrong:
                answer = await ada.http.post("/chat/api/conversations/", content=body, headers=ada.csrf)
                assert answer.status_code == status
                assert answer.json()["message"]
            assert (await ada.http.post("/chat/api/conversations/", json={})).status_code == 403, "no CSRF token"
            for query in ("limit=0", "limit=x", "limit=101", "before=-1", f"before={10**20}"):
                answer = await ada.http.get(f"/chat/api/conversations/{conversation}/messages/?{query}")
                assert answer.status_code == 400

    asyncio.run(talk())


def add_participant(site: Site, conversation: str, name: str, role: str = "member") -> None:
    servers.manage(
        site.env,
        "shell",
        "-v0",
        "-c",
        "from django.contrib.auth import get_user_model as u;"
        "from chat.models import Conversation as c, Participant as p;"
        f"c.objects.filter(pk='{conversation}').update(answers='always');"
        f"p.objects.create(conversation_id='{conversation}', user=u().objects.get(username='{name}'), role='{role}')",
    )


def test_the_logs_of_the_server_hold_neither_tokens_nor_search_words(
    database: Any, stop_after: Callable[[Any], Any], tmp_path: Path
) -> None:
    access, log = tmp_path / "access.log", tmp_path / "server.log"
    env = servers.environment(DATABASE_URL=database.copy(), SERVER_LOG=str(log))
    site = stop_after(Site(env, command=("nousproject.server", "--access-log", str(access))))
    with servers.running(site), httpx.Client(base_url=site.url, trust_env=False) as http:
        assert http.get("/chat/join/SECRET/").status_code == 302
        assert http.post("/chat/join/SECRET/").status_code == 403
        assert http.get("/chat/api/search/?q=SECRET").status_code == 401
        assert http.get("/", headers={"host": "evil.example"}).status_code == 400
    assert access.read_text().count('"GET /chat/join/***/"') == 1
    assert "Invalid HTTP_HOST header: 'evil.example'" in log.read_text()
    assert "SECRET" not in access.read_text() + log.read_text()
    assert "Traceback" not in log.read_text()
