"""The five steps of docs/embedding.md, as written, in the project that `django-admin startproject` makes."""

import asyncio
import os
import re
import subprocess
import sys
from pathlib import Path

from ..support import servers
from ..support.client import signed_in
from ..support.host import Hosts
from ..support.servers import PASSWORD, ROOT, Site


def test_the_five_steps_give_a_fresh_project_a_streaming_chat(hosts: Hosts, tmp_path: Path) -> None:
    page = (ROOT / "docs" / "embedding.md").read_text("utf-8")
    install = page[page.index("## Install") : page.index("## ", page.index("## Install") + 3)]
    settings, urls, asgi = re.findall(r"```python\n(.*?)```", install, re.DOTALL)
    _, commands = re.findall(r"```sh\n(.*?)```", install, re.DOTALL)
    env = servers.environment(DJANGO_SETTINGS_MODULE=None, PYTHONPATH=str(hosts.wheel))
    env |= {"DJANGO_SUPERUSER_PASSWORD": PASSWORD, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{env['PATH']}"}

    def run(*command: str) -> None:
        subprocess.run(command, cwd=tmp_path, env=env, check=True, timeout=120, stdout=subprocess.DEVNULL)

    run("django-admin", "startproject", "yoursite", ".")
    for name, code in (("settings.py", settings), ("urls.py", urls)):
        with (tmp_path / "yoursite" / name).open("a") as file:
            file.write(code)
    (tmp_path / "yoursite" / "asgi.py").write_text(asgi)
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

    site = Project(env, plain=True)
    with servers.running(site):
        asyncio.run(talk(site))
