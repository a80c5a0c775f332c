"""What `make run` starts: a chat that anybody can sign in to, with nothing prepared."""

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from ..support import servers
from ..support.client import signed_in
from ..support.servers import ROOT, Site

pytestmark = pytest.mark.site


class Run(Site):
    """`python -m nousproject`, started as a user starts it, its output kept."""

    def __init__(self, folder: Path, **env: str) -> None:
        self.port = servers.free_port()
        self.output = folder / "output.txt"
        self.env = servers.environment(
            SECRET_KEY=None,
            DEBUG=None,
            NOUS_CHAT_MODEL=None,
            DATABASE_URL=f"sqlite:///{folder}/db.sqlite3",
            DEMO_PASSWORD=servers.PASSWORD,
            PORT=str(self.port),
            SERVER_LOG=str(self.output),
            OLLAMA_BASE_URL="http://127.0.0.1:1",
            LMSTUDIO_BASE_URL="http://127.0.0.1:1",
            **env,
        )
        super(Site, self).__init__([sys.executable, "-m", "nousproject"], self.port, self.env, plain=True)


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    started = Run(tmp_path)
    with servers.running(started):
        yield started


def test_it_prints_the_url_the_login_and_the_model_and_then_works(run: Run) -> None:
    printed = run.output.read_text()
    assert f"http://localhost:{run.port}/" in printed
    assert f"demo / {servers.PASSWORD}" in printed
    assert "the built-in demo answers" in printed

    async def talk() -> None:
        async with signed_in(run, "demo") as demo:
            conversation = await demo.new_conversation()
            async with demo.socket(conversation) as socket:
                await socket.say("usage")
                finished = await socket.hear("run.finished")
                assert finished["status"] == "completed"
                assert "demo" in finished["message"]["text"]
                assert finished["usage"]["total_tokens"] > 0
            assert (await demo.http.get("/admin/")).status_code == 200

    asyncio.run(talk())


def test_a_wrong_link_shows_the_sites_own_page(run: Run) -> None:
    async def look() -> None:
        async with signed_in(run, "demo") as demo:
            for path in ("/nothing/here", "/chat/nothing/", f"/chat/{uuid4()}/"):
                found = await demo.http.get(path)
                assert found.status_code == 404
                assert "This page does not exist, or it is a conversation that you are not part of." in found.text
                assert "DEBUG" not in found.text
            redirect = await demo.http.get("/chat?x=1")
            assert (redirect.status_code, redirect.headers["location"]) == (301, "/chat/?x=1")
            changing = await demo.http.get("/accounts/password_change/")
            assert 'class="card"' in changing.text
            assert "admin" not in changing.text

    asyncio.run(look())


def test_with_a_key_in_the_environment_that_provider_answers(tmp_path: Path) -> None:
    started = Run(tmp_path, OPENAI_API_KEY="sk-test-0123456789")
    with servers.running(started):
        said = started.output.read_text()
        assert "openai:" in said
        assert "0123456789" not in said


def test_a_port_that_is_taken_is_said_plainly(run: Run) -> None:
    second = subprocess.run(
        [sys.executable, "-m", "nousproject"], cwd=ROOT, env=run.env, capture_output=True, text=True, check=False
    )
    assert second.returncode == 1
    assert f"Port {run.port} cannot be used" in second.stderr
    assert "Traceback" not in second.stderr
