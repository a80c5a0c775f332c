"""After an erasure, a real site holds neither the words nor the name of the person: not in a table, and in no log."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

from ..support import servers
from ..support.client import signed_in
from ..support.servers import PASSWORD, Site

NAME, SAID = "qmarchetti", "Zanzibar is what I said"
PREPARE = f"""
from django.contrib.auth import get_user_model
get_user_model().objects.create_user("{NAME}", password="{PASSWORD}", first_name="Quillon", last_name="Marchetti")
"""
NEEDLES = ("zanzibar", NAME, "quillon", "marchetti")


def test_a_scan_of_the_tables_and_the_logs_finds_nothing(
    start_site: Callable[..., Site], stop_after: Callable[[Any], Any], tmp_path: Path
) -> None:
    log, access = tmp_path / "server.log", tmp_path / "access.log"
    first = start_site(NOUS_CHAT_MODEL="custom:fails@n=2", SERVER_LOG=str(log))
    servers.manage(first.env, "shell", "-v0", "-c", PREPARE)
    site = stop_after(Site(first.env, command=("nousproject.server", "--access-log", str(access))))

    async def talk() -> None:
        async with signed_in(site, NAME) as person:
            conversation = await person.new_conversation()
            async with person.socket(conversation) as socket:
                await socket.say(SAID)
                await socket.hear("run.finished")
            await person.http.get("/chat/api/search/", params={"q": "Zanzibar"})
        async with signed_in(site, "root", "/admin/login/") as staff:
            for page in ("conversation/", "run/", "spending/"):
                await staff.http.get(f"/admin/nous_chat/{page}", params={"person": NAME})
            await staff.http.get(f"/admin/nous_chat/conversation/{conversation}/transcript/", params={"q": "Zanzibar"})

    asyncio.run(talk())
    httpx.post(f"{site.url}/accounts/login/", data={"username": NAME, "password": "wrong"}, trust_env=False)
    assert find(servers.manage(site.env, "dumpdata")) == set(NEEDLES), "the scan can find"

    servers.manage(site.env, "nous_erase", NAME)

    site.stop()
    first.stop()
    assert find(servers.manage(site.env, "dumpdata")) == set()
    assert "/chat/api/search/" in access.read_text()
    assert find(log.read_text() + access.read_text()) == set()


def find(text: str) -> set[str]:
    return {needle for needle in NEEDLES if needle in text.lower()}
