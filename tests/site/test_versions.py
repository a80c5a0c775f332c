"""The version before the newest migration, and this one, on one database and one Redis, as in the middle of an update:
`make rollout`. ROLLOUT_FROM names another commit.
"""

import asyncio
import io
import os
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ..support.client import all_said, signed_in
from ..support.servers import ROOT, Site, Upstream

pytestmark = pytest.mark.skipif("ROLLOUT_READERS" not in os.environ, reason="`make rollout` runs it")


def git(*arguments: str) -> bytes:
    return subprocess.run(["git", *arguments], cwd=ROOT, check=True, capture_output=True).stdout


@pytest.fixture
def old_code(tmp_path: Path) -> Path:
    """A folder with the site as it was."""
    added = git("log", "-1", "--format=%H", "--diff-filter=A", "--", "chat/migrations/*.py").decode().strip()
    commit = os.environ.get("ROLLOUT_FROM") or f"{added}^"
    archive = git("archive", commit, "chat", "nousproject", "templates", "static", "locale", "manage.py")
    with tarfile.open(fileobj=io.BytesIO(archive)) as files:
        files.extractall(tmp_path, filter="data")
    return tmp_path


def test_the_version_before_and_this_one_serve_one_conversation(
    start_site: Callable[..., Site],
    stop_after: Callable[[Any], Any],
    redis: str,
    old_code: Path,
    upstream: Upstream,
) -> None:
    new = start_site(NOUS_CHAT_MODEL="custom:flowing", REDIS_URL=redis)  # its database has the newest tables

    class OldSite(Site):
        folder = old_code

    old = stop_after(OldSite(new.env, plain=True))

    async def talk() -> None:
        async with signed_in(old, "ada") as ada:
            conversation = await ada.new_conversation()
            async with ada.socket(conversation, new) as here, ada.socket(conversation, old) as there:
                for number, (asking, reading) in enumerate(((here, there), (there, here)), start=1):
                    await asking.say(f"Question {number}")
                    await reading.hear("run.delta", 3)
                    await asyncio.to_thread(upstream.release)
                    for socket in (asking, reading):
                        finished = await socket.hear("run.finished", number)
                        assert (finished["status"], finished["message"]["text"]) == ("completed", all_said(finished))
                # What one of them makes, the other stops; and continues to read and write what both have stored.
                for number, (asking, reading) in enumerate(((here, there), (there, here)), start=3):
                    await asking.say(f"Question {number}")
                    await reading.hear("run.delta")
                    await reading.until(lambda socket=reading: socket.runs)
                    await reading.send("run.stop", run=next(iter(reading.runs)))
                    finished = await asking.hear("run.finished", number)
                    assert finished["status"] == "stopped"
                await here.send("message.edit", message=next(iter(here.messages)), text="Edited", resend=False)
                await there.until(lambda: there.transcript[0][1] == "Edited")
                stored = [(message["role"], message["text"]) for message in await ada.messages(conversation)]
                for socket in (here, there):
                    await socket.until(lambda socket=socket: socket.transcript == stored)
            async with ada.socket(conversation, new) as here:
                await here.say("Question 5")
                await here.hear("run.delta")
                await asyncio.to_thread(old.stop)
                await asyncio.to_thread(upstream.release)
                assert (await here.hear("run.finished"))["status"] == "completed"

    asyncio.run(talk())
