"""Front ends that are not ours, with their own clients from npm, unchanged, under Node (tests/site/clients/)."""

import asyncio
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from ..support import servers
from ..support.client import signed_in
from ..support.servers import ROOT, Database, Site, Upstream, Uvicorn
from .test_event_streams import new_token
from .test_openai import settings

CLIENTS = Path(__file__).parent / "clients"
NODE = shutil.which("node")
IS_INSTALLED = NODE is not None and (ROOT / "node_modules" / "ai").exists()


@pytest.fixture(scope="module", params=["daphne", "uvicorn"])
def sites(request: pytest.FixtureRequest, database: Database, upstream: Upstream, redis: str) -> Iterator[list[Site]]:
    """One process of daphne, or two of uvicorn."""
    env = servers.site_environment(database, upstream, **settings(DISCONNECT_GRACE=0.5))
    started: list[Site]
    if request.param == "daphne":
        started = [Site(env)]
    else:
        env |= {"REDIS_URL": redis}
        started = [Uvicorn(env), Uvicorn(env)]
    with servers.running(*started):
        yield started


@pytest.mark.skipif(
    not IS_INSTALLED and "REQUIRE_BROWSER" not in os.environ, reason="the clients from npm are not installed: `npm ci`"
)
@pytest.mark.parametrize("client", ["ai_sdk", "ag_ui"])
def test_a_client(sites: list[Site], upstream: Upstream, client: str) -> None:
    assert NODE is not None
    tokens = {"TOKEN": new_token(sites[0]), "OTHER_TOKEN": new_token(sites[0], "bob")}
    addresses = {"SITE": sites[0].url, "SECOND_SITE": sites[-1].url, "UPSTREAM": upstream.url}
    done = subprocess.run(
        [NODE, "--test", f"{client}.js"],
        cwd=CLIENTS,
        env={"PATH": os.environ["PATH"], **addresses, **tokens},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_page_of_the_site_needs_no_token(sites: list[Site]) -> None:
    """It has the session and a CSRF token, which pages of other sites do not have."""

    async def talk() -> None:
        async with signed_in(sites[0], "ada") as ada:
            path, parts = "/chat/ai-sdk/thinker", [{"type": "text", "text": "Hello"}]
            body = {"id": "here", "messages": [{"role": "user", "parts": parts}]}
            answer = await ada.http.post(path, json=body, headers=ada.csrf)
            assert answer.headers["x-vercel-ai-ui-message-stream"] == "v1"
            assert answer.headers["cache-control"] == "no-store"
            assert answer.text.endswith("data: [DONE]\n\n")
            assert '"delta":"w0 w1 w2 "' in answer.text
            assert (await ada.http.post(path, json=body)).status_code == 403
            elsewhere = {"Origin": "https://evil.example"}
            assert (await ada.http.post(path, json=body, headers=ada.csrf | elsewhere)).status_code == 403
            assert (await ada.http.get(f"{path}/here/stream")).status_code == 204

    asyncio.run(talk())
