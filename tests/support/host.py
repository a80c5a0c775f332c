"""The host site (`tests/host_site`) in processes of its own, with the wheel installed: nothing else of this repository
can be imported there.
"""

import json
import shutil
import subprocess
import sys
import tempfile
import uuid
from pathlib import Path
from typing import Any

from .client import Person
from .servers import PASSWORD, PEOPLE, ROOT, Site, environment, once

FOLDER = ROOT / "tests" / "host_site"

FILL = f"""
from django.contrib.auth import get_user_model
users = get_user_model().objects
for name in {PEOPLE}:
    users.create_user(name, password={PASSWORD!r})
users.create_superuser("root", password={PASSWORD!r})
"""


class Hosts:
    """Host sites, each with a database of its own. Processes that give the same `shared` folder build one wheel."""

    def __init__(self, folder: Path, shared: Path, upstream: str) -> None:
        self._folder, self._upstream = folder, upstream
        self.wheel = Path(once(shared / "host-wheel", lambda: _build(shared / "host-packages")))
        self._template = Path(once(shared / "host-database", lambda: self._prepare(shared / "host.sqlite3")))

    def environment(self, settings: dict[str, Any] | None = None, **extra: str) -> dict[str, str]:
        """The environment of a process of a new host site. `settings` change its own (`host/settings.py`)."""
        database = self._folder / f"{uuid.uuid4().hex}.sqlite3"
        shutil.copy(self._template, database)
        return self._environment(database, settings, **extra)

    def start(self, settings: dict[str, Any] | None = None, **extra: str) -> "HostSite":
        """A process of a new host site."""
        return HostSite(self.environment(settings, **extra))

    def _environment(self, database: Path, settings: dict[str, Any] | None, **extra: str) -> dict[str, str]:
        given = {
            "NOUS_CHAT_MODEL": "custom:words",
            "CUSTOM_BASE_URL": f"{self._upstream}/v1",
            "CUSTOM_API_KEY": "sk-test-0123456789",
            **extra,
        }
        return environment(
            DJANGO_SETTINGS_MODULE="host.settings",
            PYTHONPATH=str(self.wheel),
            HOST_DATABASE=str(database),
            HOST_SETTINGS=json.dumps(settings or {}),
            **given,
        )

    def _prepare(self, database: Path) -> str:
        env = self._environment(database, None)
        manage_host(env, "migrate", "--verbosity", "0")
        manage_host(env, "shell", "--command", FILL)
        return str(database)


def _build(target: Path) -> str:
    """Build the wheel, and install it alone into a folder; returns the folder's path."""
    with tempfile.TemporaryDirectory() as temporary:
        source = Path(temporary) / "source"
        shutil.copytree(ROOT / "chat", source / "chat", ignore=shutil.ignore_patterns("__pycache__"))
        for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
            shutil.copy(ROOT / name, source)
        options = ["--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check"]
        command = [sys.executable, "-m", "pip", "install", *options, "--target", str(target), str(source)]
        subprocess.run(command, check=True, timeout=300)
    return str(target)


def manage_host(env: dict[str, str], *arguments: str) -> str:
    """Run a management command of the host site; returns what it printed."""
    command = [sys.executable, "manage.py", *arguments]
    done = subprocess.run(command, cwd=FOLDER, env=env, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, f"{arguments}: {done.stdout}{done.stderr}"
    return done.stdout


class HostSite(Site):
    """A process of the host site, under daphne."""

    folder = FOLDER

    def __init__(
        self,
        env: dict[str, str],
        port: int | None = None,
        command: tuple[str, ...] = ("daphne", "host.asgi:application"),
        plain: bool = True,
    ) -> None:
        super().__init__(env, port, command, plain)


class Member(Person):
    """A user who is signed in to a host site."""

    prefix = "/talk/"
    socket_prefix = "/live/talk/"


GUEST_CHAT = {
    "WEBSOCKET_URL": "/live/talk/",
    "AGENTS": {"helper": {"name": "Helper"}},
    "GUESTS": {"messages": 10},
}
"""`hosts.start({"NOUS_CHAT": GUEST_CHAT})`: a site that lets visitors without an account chat."""
