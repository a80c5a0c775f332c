"""`LOG_FORMAT=json`: every line of a real process is one event, and says to which run, conversation, and request it
belongs. A log that a program cannot parse, or that holds what people wrote, is of no use.
"""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from ..support.client import signed_in
from ..support.servers import Site, Uvicorn

SAID = "Sesame is what I said"


@pytest.mark.parametrize("server", ["daphne", "uvicorn"])
def test_every_line_is_an_event_with_its_ids(
    start_site: Callable[..., Site], stop_after: Callable[[Site], Site], tmp_path: Path, server: str
) -> None:
    log = tmp_path / "log"
    site = start_site(NOUS_CHAT_MODEL="custom:fails@n=2", LOG_FORMAT="json", SERVER_LOG=str(log))
    if server == "uvicorn":
        site.stop()
        site = stop_after(Uvicorn(site.env))
    before = len(log.read_text().splitlines())  # uvicorn warns before it loads the site
    ended: dict[str, str] = {}

    async def talk() -> None:
        async with signed_in(site, "ada") as ada:
            conversation = await ada.new_conversation()
            async with ada.socket(conversation) as socket:
                await socket.say(SAID)
                finished = await socket.hear("run.finished")
                ended.update(run=finished["run"], conversation=conversation)

    asyncio.run(talk())
    headers = {"X-Request-ID": "from-the-proxy-1", "Authorization": "Bearer nct_0123456789012345678901234567890"}
    assert httpx.get(f"{site.url}/chat/metrics?q={SAID}", headers=headers, trust_env=False).status_code == 401
    site.stop()
    records = [json.loads(line) for line in log.read_text().splitlines()[before:]]
    assert all({"time", "level", "logger", "message", "process"} <= record.keys() for record in records)
    assert len({record["process"] for record in records if record["logger"].startswith("nous_chat.")}) == 1
    (failed,) = [record for record in records if record["level"] == "WARNING" and ended["run"] in record["message"]]
    assert {name: failed[name] for name in ended} == ended
    assert failed["request"]
    (refused,) = [record for record in records if record.get("status") == 401]
    assert refused["request"] == "from-the-proxy-1"
    assert "Sesame" not in log.read_text()
    assert "nct_0123" not in log.read_text()
