"""Messages from processes that serve no sockets, a command and a WSGI server, are answered by one that does."""

import asyncio
from collections.abc import Callable
from typing import Any

from ..support import servers
from ..support.client import Person, signed_in
from ..support.servers import Site
from ..support.upstream import text


async def answer_of(person: Person, conversation: str) -> str:
    """The text of the conversation's answer, when it has ended. No socket waits for it."""
    while True:
        messages = await person.messages(conversation)
        ended = [each for each in messages if each["run"] and each["run"]["status"] == "completed"]
        if ended:
            return str(ended[0]["text"])
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


def test_the_form_is_answered_though_its_pages_are_served_by_wsgi(
    start_site: Callable[..., Site], stop_after: Callable[[Any], Any]
) -> None:
    site = start_site(NOUS_CHAT_MODEL="custom:words@n=20")
    pages = stop_after(Site(site.env, command=("tests.support.wsgi_server",), plain=True))

    async def talk() -> None:
        async with signed_in(pages, "ada") as ada:
            conversation = await ada.new_conversation()
            await ada.http.get(f"/chat/{conversation}/")
            form = {"text": "Hello", "csrfmiddlewaretoken": ada.http.cookies["csrftoken"]}
            posted = await ada.http.post(f"/chat/{conversation}/say/", data=form)
            assert (posted.status_code, posted.headers["Location"]) == (302, f"/chat/{conversation}/")
            async with asyncio.timeout(servers.PATIENCE):
                assert await answer_of(ada, conversation) == text(20)

    asyncio.run(talk())
