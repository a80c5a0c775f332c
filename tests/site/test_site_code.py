"""Messages from processes that serve no sockets, a command and a WSGI server, are answered by one that does."""

import asyncio
from collections.abc import Callable
from typing import Any
from uuid import uuid4

from ..support import servers
from ..support.client import Person, signed_in
from ..support.servers import Site
from ..support.upstream import text
from .test_content_site import ask
from .test_outages import tuned


async def answer_of(person: Person, conversation: str, seq: int = 2) -> str:
    """The text of the conversation's last answer, when it has ended, with this number. No socket waits for it."""
    while True:
        *_, last = [{"run": None}, *await person.messages(conversation)]
        if last["run"] and (last["seq"], last["run"]["status"]) == (seq, "completed"):
            return str(last["text"])
        await asyncio.sleep(0.1)


def test_a_command_asks_and_nobody_has_the_page_open(site: Site) -> None:
    async def talk() -> None:
        async with signed_in(site, "ada") as ada:
            conversation = await ada.new_conversation()
            code = (
                "import uuid, chat; from django.contrib.auth import get_user_model;"
                f"chat.ask(uuid.UUID('{conversation}'), 'Hello', get_user_model().objects.get(username='ada'))"
            )
            await asyncio.to_thread(servers.manage, site.env, "shell", "-v0", "-c", code)
            async with asyncio.timeout(servers.PATIENCE):
                assert "the built-in demo" in await answer_of(ada, conversation)

    asyncio.run(talk())


def test_forms_and_commands_are_answered_though_wsgi_serves_them(
    start_site: Callable[..., Site], stop_after: Callable[[Any], Any]
) -> None:
    site = start_site(NOUS_CHAT_MODEL="custom:words@n=20")
    pages = stop_after(Site(site.env, command=("tests.support.wsgi_server",), plain=True))

    async def talk() -> None:
        async with signed_in(pages, "ada") as ada, asyncio.timeout(servers.PATIENCE):
            conversation = await ada.new_conversation()
            await ada.http.get(f"/chat/{conversation}/")
            form = {"text": "Hello", "csrfmiddlewaretoken": ada.http.cookies["csrftoken"]}
            posted = await ada.http.post(f"/chat/{conversation}/say/", data=form)
            assert (posted.status_code, posted.headers["Location"]) == (302, f"/chat/{conversation}/")
            assert await answer_of(ada, conversation) == text(20)

            at = f"conversations/{conversation}/"
            sent = await ask(ada, "POST", f"{at}messages/", 201, text="Again", client_id=str(uuid4()))
            assert sent["type"] == "ack"
            assert await answer_of(ada, conversation, 4) == text(20)
            retried = (await ada.messages(conversation))[-1]["id"]
            await ask(ada, "POST", f"{at}runs/", 201, message=retried)
            assert await answer_of(ada, conversation, 5) == text(20)
            await ask(ada, "PATCH", f"{at}messages/{sent['message']}/", 200, text="Once more", resend=True)
            assert await answer_of(ada, conversation, 6) == text(20)
            await ask(ada, "POST", f"{at}read/", 200, seq=6)
            assert (await ask(ada, "GET", at, 200))["yours"]["last_read"] == 6

    asyncio.run(talk())


async def last_run(person: Person, conversation: str, status: str) -> dict[str, Any]:
    """The conversation's last answer, when its run has this status."""
    while True:
        *_, last = [{"run": None}, *await person.messages(conversation)]
        if last["run"] and last["run"]["status"] == status:
            return dict(last)
        await asyncio.sleep(0.1)


def test_wsgi_stops_runs_and_decides_on_calls_of_another_process(
    start_site: Callable[..., Site], stop_after: Callable[[Any], Any]
) -> None:
    agents = {
        "talker": {"model": "custom:flowing"},
        "careful": {"model": "custom:calls@n=2", "tools": ["tests.sites.eager.look_up"]},
    }
    site = start_site(**tuned(AGENTS=agents))
    pages = stop_after(Site(site.env, command=("tests.support.wsgi_server",), plain=True))

    async def talk() -> None:
        async with signed_in(pages, "ada") as ada, asyncio.timeout(servers.PATIENCE):
            conversation = await ada.new_conversation(agent="talker")
            at = f"conversations/{conversation}/"
            await ask(ada, "POST", f"{at}messages/", 201, text="Talk", client_id=str(uuid4()))
            run = (await last_run(ada, conversation, "running"))["run"]["id"]
            assert (await ask(ada, "POST", f"{at}runs/{run}/stop/", 200))["type"] == "ack"
            await last_run(ada, conversation, "stopped")
            assert (await ask(ada, "POST", f"{at}runs/{run}/stop/", 409))["code"] == "run_over"

            conversation = await ada.new_conversation(agent="careful")
            at = f"conversations/{conversation}/"
            await ask(ada, "POST", f"{at}messages/", 201, text="Look it up", client_id=str(uuid4()))
            first, second = (await last_run(ada, conversation, "awaiting_approval"))["calls"]
            for call, decision in ((first, "approve"), (second, "reject")):
                assert (await ask(ada, "POST", f"{at}calls/{call['id']}/decide/", 200, decision=decision))[
                    "type"
                ] == "ack"
            decided = await last_run(ada, conversation, "completed")
            assert [call["status"] for call in decided["calls"]] == ["done", "rejected"]
            assert (await ask(ada, "POST", f"{at}calls/{first['id']}/decide/", 409, decision="reject"))["code"]

    asyncio.run(talk())
