"""Fixtures: real servers for whole-site tests, and an in-process setting for tests of consumers.

The suite runs in several processes (pytest-xdist). Each has its own databases, ports, Redis prefixes and folders. What
is expensive (a migrated database, collected static files) is made once, in a folder that they share.
"""

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from hypothesis import settings as hypothesis_settings

from .support import servers
from .support.host import Hosts
from .support.servers import Database, Server, Site, Upstream, site_environment

RUN_FOLDER = "NOUS_CHAT_TEST_RUN"

# No deadlines, because the speed of the machine proves nothing. The default runs the same examples each time, so no
# test fails by chance. `make chaos` looks for new failures; each one becomes an @example of its test.
hypothesis_settings.register_profile("ci", derandomize=True, deadline=None, database=None)
hypothesis_settings.register_profile("fresh", deadline=None, database=None, max_examples=1000, print_blob=True)
hypothesis_settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


def pytest_configure(config: pytest.Config) -> None:
    """The first process of a run makes the shared folder. Its workers find it in the environment."""
    if RUN_FOLDER not in os.environ:
        os.environ[RUN_FOLDER] = tempfile.mkdtemp(prefix="nous-chat-run-")
        config.add_cleanup(_remove_run_folder)
    config.add_cleanup(servers.fork_server.stop)


def _remove_run_folder() -> None:
    folder = Path(os.environ.pop(RUN_FOLDER))
    for file in folder.glob("database-*"):
        servers.drop_database(file.read_text())
    shutil.rmtree(folder, ignore_errors=True)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """The meaning of `-n auto`: two workers per core, because tests wait as much as they compute. None if only single
    files are selected, because starting workers would take longer.
    """
    if all(Path(argument.split("::")[0]).is_file() for argument in config.args):
        return 0
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return 2 * cores


@pytest.fixture(scope="session")
def run_folder() -> Path:
    """The folder that all processes of this run share. It is removed when the run ends."""
    return Path(os.environ[RUN_FOLDER])


@pytest.fixture(autouse=True)
def cached_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests do not see what the process has kept of the rows of others, and none depends on how long it takes."""
    from chat.store import cached, inspections, pricing, stored_budgets

    monkeypatch.setattr(cached, "MAX_AGE", 3600.0)
    money = (pricing.stored_prices, stored_budgets.stored_budgets, stored_budgets.groups_by_user)
    for kept in (*money, inspections.inspections):
        kept.forget()


@pytest.fixture(autouse=True)
def _no_stored_agents(monkeypatch: pytest.MonkeyPatch) -> None:
    """This process knows of no agents in the database, and asks for them only if a test says so (`agents.refresh`):
    statements are counted, and the rows of another test are gone. Whole sites, which are other processes, ask as ever.
    """
    from chat.agents import database as stored

    monkeypatch.setattr(stored, "STALE_AFTER", float("inf"))
    monkeypatch.setattr(stored, "_known", stored.Known(asked_at=0.0))


@pytest.fixture(autouse=True)
def _closed_breakers() -> None:
    """No test depends on how often a model has failed in others of this process."""
    from chat import agents
    from chat.realtime import run_ends

    agents.breakers().forget()
    agents.breakers().settings = {}
    run_ends.forget()


@pytest.fixture(scope="session")
def redis() -> Iterator[str]:
    """The URL of a Redis: REDIS_URL, or one that is started for the session."""
    if url := os.environ.get("REDIS_URL"):
        yield url
        return
    server = servers.start_redis()
    with servers.running(server):
        yield f"redis://127.0.0.1:{server.port}/0"


@pytest.fixture(scope="session")
def upstream() -> Iterator[Upstream]:
    """A fake provider whose models do what their names say."""
    server = servers.start_upstream()
    with servers.running(server):
        yield server


@pytest.fixture(scope="session")
def replay() -> Iterator[Upstream]:
    """Recorded answers of real providers. Skips the test if the recordings are not next to the project."""
    if not (servers.SHARED / "tools" / "replay_upstream.py").exists():
        pytest.skip("the recordings are not here")
    server = servers.start_replay()
    with servers.running(server):
        yield server


@pytest.fixture(scope="session")
def migrated(run_folder: Path) -> str:
    """The URL of a database with all tables and without people. Made once for a run, and copied: to migrate takes
    seconds.
    """
    return servers.once(
        run_folder / "database-migrated", lambda: servers.create_migrated(run_folder, os.environ.get("DATABASE_URL"))
    )


@pytest.fixture(scope="session")
def django_db_modify_db_settings(django_db_modify_db_settings: None, request: pytest.FixtureRequest) -> Iterator[None]:
    """pytest-django's fixture. If there are several test processes, their databases begin as copies of `migrated`."""
    from django.db import connection
    from django.db.backends.signals import connection_created

    if "PYTEST_XDIST_WORKER" not in os.environ:
        yield
        return
    migrated: str = request.getfixturevalue("migrated")
    if connection.vendor == "postgresql":
        connection.settings_dict["TEST"]["TEMPLATE"] = migrated.rpartition("/")[2]

    def fill(connection: Any, **_: Any) -> None:
        """Fill the new database before Django migrates it."""
        if connection.vendor == "sqlite" and connection.is_in_memory_db():
            connection_created.disconnect(fill)
            with closing(sqlite3.connect(migrated.removeprefix("sqlite:///"))) as source:
                source.backup(connection.connection)

    connection_created.connect(fill)
    yield
    connection_created.disconnect(fill)


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """pytest-django's fixture. At the end, close the connections that threads of the chat keep open by design:
    PostgreSQL would not drop the database.
    """
    from django.db import connection

    yield
    if connection.vendor == "postgresql":
        others = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        with django_db_blocker.unblock(), connection.cursor() as cursor:
            cursor.execute(f"SELECT pg_terminate_backend(pid) {others}")


@pytest.fixture(scope="session")
def database(tmp_path_factory: pytest.TempPathFactory, run_folder: Path, migrated: str) -> Iterator[Database]:
    folder = tmp_path_factory.mktemp("databases")
    made = Database(folder, os.environ.get("DATABASE_URL"), shared=run_folder, migrated=migrated)
    yield made
    made.drop()


@pytest.fixture
def start_site(database: Database, upstream: Upstream) -> Iterator[Callable[..., Site]]:
    """Start sites: `start_site(NOUS_CHAT_MODEL="custom:words", REDIS_URL=redis)`.

    Each gets what `site_environment` says.
    """
    started: list[Site] = []

    def start(**env: str) -> Site:
        site = Site(site_environment(database, upstream, **env))
        started.append(site)
        return site

    yield start
    for server in started:
        if server.process.poll() is None:
            server.kill()


@pytest.fixture(scope="session")
def hosts(tmp_path_factory: pytest.TempPathFactory, run_folder: Path, upstream: Upstream) -> Hosts:
    """Starts sites that have installed the wheel: `hosts.start({"USE_TZ": False})`. The caller stops them."""
    return Hosts(tmp_path_factory.mktemp("hosts"), run_folder, upstream.url)


@pytest.fixture
def stop_after() -> Iterator[Callable[[Server], Any]]:
    """Stop a server when the test ends: `other = stop_after(site.second_process())`."""
    kept: list[Server] = []

    def keep(server: Any) -> Any:
        kept.append(server)
        return server

    yield keep
    for server in kept:
        if server.process.poll() is None:
            server.kill()


@pytest.fixture
def scenario(db: None, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Run a coroutine function as a test: `scenario(talk, ada)`.

    The ORM runs in this thread, in the test's transaction. Channels must not close that connection between calls.
    """
    monkeypatch.setattr("channels.db.close_old_connections", lambda: None)
    # A busy machine is no outage: this process may have to wait for its turn for longer than a site would tolerate.
    monkeypatch.setattr("chat.runs.liveness.AWAY", servers.PATIENCE)
    monkeypatch.setattr("chat.runs.liveness.overdue", lambda: servers.PATIENCE)
    monkeypatch.setattr("chat.consumers.base.COMMAND_TIMEOUT", servers.PATIENCE)

    def run(coroutine_function: Callable[..., Any], *args: Any) -> Any:
        async def whole() -> Any:
            from chat.node import node

            try:
                return await coroutine_function(*args)
            finally:
                await node.current().drain(5)

        return async_to_sync(whole)()

    return run


@pytest.fixture
def people(db: None, django_user_model: Any) -> dict[str, Any]:
    """Users by name."""
    return {name: django_user_model.objects.create_user(name, password="x") for name in servers.PEOPLE}


@pytest.fixture
def room(people: dict[str, Any]) -> Any:
    """A conversation: Ada owns it, Bob is a member, Eve is not in it. The agent answers every message."""
    from chat import store
    from chat.models import Conversation, Participant

    created = store.create_conversation(people["ada"])
    Conversation.objects.filter(pk=created.id).update(answers="always")
    room = Conversation.objects.get(pk=created.id)
    Participant.objects.create(conversation=room, user=people["bob"], role="member")
    return room


@pytest.fixture
def model(upstream: Upstream, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Choose the provider's model, and other settings: `model("words@n=5", IDLE_TIMEOUT=1)`."""
    monkeypatch.setenv("CUSTOM_BASE_URL", f"{upstream.url}/v1")
    monkeypatch.setenv("CUSTOM_API_KEY", "sk-test-0123456789")

    def choose(name: str, **others: Any) -> None:
        settings.NOUS_CHAT = {"MODEL": f"custom:{name}", **others}

    choose("words@n=30")
    return choose


def browser_path() -> str | None:
    """The path of Chromium: from PATH, or Playwright's own. A page costs a third in the headless shell."""
    for name in ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome"):
        if found := shutil.which(name):
            return found
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        path = playwright.chromium.executable_path
    return path if Path(path).exists() else None


STARTS_PROCESSES = {"database", "hosts", "start_site", "stop_after"}
"""Fixtures of tests that start processes of a site. `make fast` leaves these tests out."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        if STARTS_PROCESSES.intersection(getattr(item, "fixturenames", ())):
            item.add_marker("site")
    browser_tests = [item for item in items if item.get_closest_marker("browser")]
    if not browser_tests or browser_path():
        return
    if os.environ.get("REQUIRE_BROWSER"):
        raise pytest.UsageError("REQUIRE_BROWSER is set, but there is no Chromium: not on PATH, and not Playwright's.")
    for item in browser_tests:
        item.add_marker(pytest.mark.skip(reason="no Chromium on PATH, and not Playwright's"))
