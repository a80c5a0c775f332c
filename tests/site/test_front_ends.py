"""Front ends that are not ours, with their own clients from npm, unchanged, under Node (tests/site/clients/)."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from ..support import servers
from ..support.servers import ROOT, Database, Site, Upstream, Uvicorn
from .test_event_streams import new_token
from .test_openai import settings

CLIENTS = Path(__file__).parent / "clients"
NODE = shutil.which("node")
IS_INSTALLED = NODE is not None and (ROOT / "node_modules" / "ai").exists()


@pytest.fixture(scope="module", params=["daphne", "uvicorn"])
def site(request: pytest.FixtureRequest, database: Database, upstream: Upstream) -> Iterator[Site]:
    kind = {"daphne": Site, "uvicorn": Uvicorn}[request.param]
    started = kind(servers.site_environment(database, upstream, **settings(DISCONNECT_GRACE=0.5)))
    with servers.running(started):
        yield started


@pytest.mark.skipif(
    not IS_INSTALLED and "REQUIRE_BROWSER" not in os.environ, reason="the clients from npm are not installed: `npm ci`"
)
@pytest.mark.parametrize("client", ["ai_sdk", "ag_ui"])
def test_a_client(site: Site, upstream: Upstream, client: str) -> None:
    assert NODE is not None
    tokens = {"TOKEN": new_token(site), "OTHER_TOKEN": new_token(site, "bob")}
    env = {"PATH": os.environ["PATH"], "SITE": site.url, "UPSTREAM": upstream.url, **tokens}
    done = subprocess.run(
        [NODE, "--test", f"{client}.js"], cwd=CLIENTS, env=env, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
