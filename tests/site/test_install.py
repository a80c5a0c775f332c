"""docs/embedding.md, as written, in the project that `django-admin startproject` makes: the five steps to install the
chat, and those that leave nothing of it.
"""

import asyncio
import contextlib
import os
import re
import shlex
import sqlite3
import subprocess
import sys
from pathlib import Path

import httpx

from ..support import servers
from ..support.client import csrf_token, signed_in
from ..support.host import Hosts
from ..support.servers import PASSWORD, ROOT, Site
from .test_content_site import ask

PAGE = (ROOT / "docs" / "embedding.md").read_text("utf-8")
OWN = """
MEDIA_ROOT = BASE_DIR / "media"
NOUS_CHAT["GUESTS"] = {}
"""


def section(title: str) -> str:
    begin = PAGE.index(f"## {title}\n")
    return PAGE[begin:].partition("\n## ")[0]


def blocks(language: str, text: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def dump(folder: Path) -> list[str]:
    """The project's database as SQL, without what its users have done: signing in, and being."""
    with contextlib.closing(sqlite3.connect(folder / "db.sqlite3")) as database:
        lines = list(database.iterdump())
    own = ('INSERT INTO "auth_user"', 'INSERT INTO "django_session"', 'INSERT INTO "sqlite_sequence"')
    return [line for line in lines if not line.startswith(own)]


def test_the_five_steps_give_a_fresh_project_a_streaming_chat_and_leave_nothing(hosts: Hosts, tmp_path: Path) -> None:
    settings, urls, asgi = blocks("python", section("Install"))
    _, commands = blocks("sh", section("Install"))
    env = servers.environment(DJANGO_SETTINGS_MODULE=None, PYTHONPATH=str(hosts.wheel))
    env |= {"DJANGO_SUPERUSER_PASSWORD": PASSWORD, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{env['PATH']}"}

    def run(*command: str) -> None:
        subprocess.run(command, cwd=tmp_path, env=env, check=True, timeout=120, stdout=subprocess.DEVNULL)

    run("django-admin", "startproject", "yoursite", ".")
    run("python", "manage.py", "migrate", "--verbosity", "0")
    before = dump(tmp_path)
    files = {name: tmp_path / "yoursite" / name for name in ("settings.py", "urls.py", "asgi.py")}
    originals = {file: file.read_text() for file in files.values()}
    for name, code in (("settings.py", settings + OWN), ("urls.py", urls)):
        files[name].write_text(originals[files[name]] + code)
    files["asgi.py"].write_text(asgi)
    migrate, create, serve = commands.splitlines()
    run(*migrate.split(), "--verbosity", "0")
    run(*create.split(), "--noinput", "--username", "ada", "--email", "ada@example.org")
    run("python", "manage.py", "check")
    assert serve == "python manage.py runserver"

    class Project(Site):
        folder = tmp_path

        def _arguments(self, port: int, module: str, *application: str) -> list[str]:
            return ["manage.py", "runserver", "--noreload", f"127.0.0.1:{port}"]

    async def talk(site: Site) -> None:
        async with signed_in(site, "ada", "/admin/login/?next=/chat/") as ada:
            assert "<nous-chat" in (await ada.http.get("/chat/")).text
            assert (await ada.http.get("/static/nous_chat/nous-chat.js")).status_code == 200
            conversation = await ada.new_conversation()
            async with ada.socket(conversation) as socket:
                await socket.say("Hello")
                finished = await socket.hear("run.finished")
                assert finished["status"] == "completed"
                assert len(socket.of_type("run.delta")) > 1
                assert (await ada.messages(conversation))[-1]["text"] == finished["message"]["text"]
            upload = {"file": ("notes.txt", b"notes")}
            await ask(ada, "POST", f"conversations/{conversation}/attachments/", 201, files=upload)
        async with httpx.AsyncClient(base_url=site.url, timeout=20, trust_env=False, verify=False) as guest:
            form = {"text": "Hello", "csrfmiddlewaretoken": csrf_token((await guest.get("/chat/")).text)}
            assert (await guest.post("/chat/guest/", data=form)).status_code == 302

    site = Project(env, plain=True)
    with servers.running(site):
        asyncio.run(talk(site))
    assert any((tmp_path / "media" / "nous_chat").iterdir())

    tables, rest = (block.splitlines() for block in blocks("sh", section("Uninstall")))
    for command in tables:
        run(*shlex.split(command))
    for file, text in originals.items():
        file.write_text(text)
    *rest, uninstall = rest
    for command in rest:
        run(*shlex.split(command))
    assert uninstall == "pip uninstall --yes nous-chat"
    del env["PYTHONPATH"]  # where it is installed
    run("python", "manage.py", "migrate", "--check")
    assert dump(tmp_path) == before
    with contextlib.closing(sqlite3.connect(tmp_path / "db.sqlite3")) as database:
        assert database.execute("SELECT username FROM auth_user").fetchall() == [("ada",)]
    assert not list((tmp_path / "media").rglob("*"))
