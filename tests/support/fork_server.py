"""Fork server: starts Python programs in processes that have imported Django, Channels and Twisted already.

A site's process spends 1.5 s of CPU on imports, and the tests start hundreds of them. A program that is started here is
forked from a process that has only imported libraries. It then runs as `python -m MODULE` or `python FILE` does, with
its own environment: settings, models and everything in `chat` but the engine are loaded in the new process. The only
difference: passwords are hashed with one round.

`ForkServer` is the client, in the test. `python -m tests.support.fork_server` is the server: it reads one request
a line from stdin, and answers each with a line on stdout.
"""

import atexit
import contextlib
import gc
import importlib
import json
import os
import runpy
import signal
import subprocess
import sys
import threading
import time
import traceback
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]

# Libraries only, and none that reads Django's settings, makes an event loop, or installs Twisted's reactor: a process
# must do that after it is forked. So daphne, which installs the reactor when it is imported, is not here.
PRELOAD = [
    "aiohttp",
    "autobahn.rawsocket.util",
    "autobahn.twisted.util",
    "autobahn.websocket.protocol",
    "channels.apps",
    "channels.auth",
    "channels.generic.websocket",
    "channels.layers",
    "channels.routing",
    "channels.security.websocket",
    "channels.sessions",
    "channels_redis.pubsub",
    "chat.engine",
    "cryptography.hazmat.primitives.kdf.pbkdf2",
    "dj_database_url",
    "django.contrib.admin",
    "django.contrib.admin.apps",
    "django.contrib.auth.apps",
    "django.contrib.auth.hashers",
    "django.contrib.auth.password_validation",
    "django.contrib.auth.tokens",
    "django.contrib.contenttypes.apps",
    "django.contrib.messages.apps",
    "django.contrib.messages.middleware",
    "django.contrib.sessions.apps",
    "django.contrib.sessions.middleware",
    "django.contrib.staticfiles.apps",
    "django.contrib.staticfiles.handlers",
    "django.contrib.staticfiles.management.commands.runserver",
    "django.core.asgi",
    "django.core.management.commands.shell",
    "django.db.backends.postgresql.base",
    "django.db.backends.sqlite3.base",
    "django.db.migrations.operations",
    "django.middleware.clickjacking",
    "django.middleware.common",
    "django.middleware.locale",
    "django.middleware.security",
    "django.template.loader_tags",
    "django.utils.translation.reloader",
    "django.views.debug",
    "django.views.i18n",
    "httpx_aiohttp",
    "msgspec",
    "psycopg_pool",
    "redis.asyncio",
    "twisted.application.service",
    "twisted.internet.asyncioreactor",
    "twisted.internet.endpoints",
    "twisted.internet.tcp",
    "twisted.logger",
    "twisted.web.http",
    "uvloop",
    "whitenoise.middleware",
]


class Forked:
    """A process of the fork server, with the methods of `subprocess.Popen` that the tests use."""

    def __init__(self, server: "ForkServer", pid: int, arguments: list[str]) -> None:
        self._server = server
        self.pid = pid
        self.args = arguments
        self.returncode: int | None = None

    def poll(self) -> int | None:
        if self.returncode is None:
            self.returncode = self._server.request({"poll": self.pid})["returncode"]
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        deadline = None if timeout is None else time.monotonic() + timeout
        while (returncode := self.poll()) is None:
            if deadline is not None and time.monotonic() > deadline:
                raise subprocess.TimeoutExpired(self.args, timeout or 0)
            time.sleep(0.01)
        return returncode

    def send_signal(self, number: int) -> None:
        # A process that has ended keeps its id until the server has told us so.
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


class ForkServer:
    """The process that forks, started when it is first needed. Any thread may use it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None

    def start(self, arguments: list[str], env: dict[str, str], output: str, errors: str | None = None) -> Forked:
        """Start `["-m", MODULE, *options]` or `[FILE, *options]`. Its stdout is appended to the file `output`, its
        stderr to the file `errors`, by default the same.
        """
        answer = self.request({"arguments": arguments, "env": env, "output": output, "errors": errors or output})
        return Forked(self, answer["pid"], arguments)

    def request(self, request: dict[str, Any]) -> dict[str, Any]:
        with self._lock:
            if self._process is None:
                self._process = subprocess.Popen(
                    [sys.executable, "-m", __name__],
                    cwd=ROOT,
                    env=os.environ | {"PYTHONUNBUFFERED": "1"},
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                )
            assert self._process.stdin is not None
            assert self._process.stdout is not None
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
            answer: dict[str, Any] = json.loads(self._process.stdout.readline())
            return answer

    def stop(self) -> None:
        """End the server, and any of its processes that still runs."""
        if self._process is not None:
            with self._process:
                pass  # closes stdin, at which the server ends


def main() -> None:
    for name in PRELOAD:
        importlib.import_module(name)
    # A password of the tests needs no protection: one round instead of a million saves half a second for each sign-in.
    hashers = importlib.import_module("django.contrib.auth.hashers")
    hashers.PBKDF2PasswordHasher.iterations = 1
    gc.collect()
    gc.freeze()  # else a collection in the forked process copies every page
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C: the tests still end their processes through this one
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what an import prints is no answer
    running: set[int] = set()
    while line := sys.stdin.readline():  # empty when the test process has stopped or died
        request = json.loads(line)
        if "poll" in request:
            pid, status = os.waitpid(request["poll"], os.WNOHANG)
            answer = {"returncode": os.waitstatus_to_exitcode(status) if pid else None}
            running.discard(pid)
        else:
            pid = os.fork()
            if pid == 0:
                answers.close()
                _become(**request)
            running.add(pid)
            answer = {"pid": pid}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()
    for pid in running:
        os.kill(pid, signal.SIGKILL)


def _become(arguments: list[str], env: dict[str, str], output: str, errors: str) -> None:
    """Run the program in this process, and end as Python does."""
    code = 1
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        for number, file in enumerate(
            (os.open(os.devnull, os.O_RDONLY), os.open(output, flags), os.open(errors, flags))
        ):
            os.dup2(file, number)
            os.close(file)
        os.environ.clear()
        os.environ.update(env)
        code = _run(arguments)
    finally:
        with contextlib.suppress(BaseException):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def _run(arguments: list[str]) -> int:
    try:
        if arguments[0] == "-m":
            sys.argv = [arguments[1], *arguments[2:]]
            runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
        else:
            sys.argv = arguments
            sys.path[0] = str(ROOT / Path(arguments[0]).parent)
            runpy.run_path(arguments[0], run_name="__main__")
    except SystemExit as ending:
        if isinstance(ending.code, str):
            print(ending.code, file=sys.stderr)
            return 1
        return int(ending.code or 0)
    except BaseException:
        traceback.print_exc()
        return 1
    finally:
        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
    return 0


if __name__ == "__main__":
    main()
