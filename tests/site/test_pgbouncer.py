"""A site whose PostgreSQL is behind PgBouncer, which lends its connections for one transaction at a time."""

import asyncio
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest

from ..support import servers
from ..support.client import signed_in
from ..support.servers import Database, Server, Site
from ..support.upstream import text

LONG = """
from django.contrib.auth import get_user_model
from chat import store
from chat.models import Conversation, Message
ada = get_user_model().objects.get(username="ada")
made = store.create_conversation(ada, title="Long")
Message.objects.bulk_create(
    Message(conversation_id=made.id, seq=seq, role="user", author=ada, text=f"Part {seq}") for seq in range(1, 151)
)
Conversation.objects.filter(pk=made.id).update(last_seq=150)
print(made.id)
"""


@pytest.fixture
def pooled(database: Database, tmp_path: Path, stop_after: Callable[[Server], Server]) -> str:
    """The URL of a database behind a PgBouncer that has one connection to it: who leaves something in its session
    leaves it to everybody.
    """
    program = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")
    url = urlsplit(database.copy())
    if program is None or not url.scheme.startswith("postgres"):
        pytest.skip("needs pgbouncer, and DATABASE_URL of a PostgreSQL")
    port = servers.free_port()
    password = f" password={url.password}" if url.password else ""
    config = tmp_path / "pgbouncer.ini"
    config.write_text(
        f"""
[databases]
* = host={url.hostname} port={url.port} user={url.username}{password}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 1
max_client_conn = 200
ignore_startup_parameters = options
"""
    )
    user = ["-u", "postgres"] if os.geteuid() == 0 else []  # PgBouncer does not run as root
    stop_after(Server([program, *user, str(config)], port))
    return f"postgres://{url.username}@127.0.0.1:{port}{url.path}"


def test_people_talk_and_no_session_keeps_anything(
    pooled: str, start_site: Callable[..., Site], stop_after: Callable[[Any], Any], redis: str
) -> None:
    one = start_site(DATABASE_URL=pooled, REDIS_URL=redis, NOUS_CHAT_MODEL="custom:words")
    two = stop_after(one.second_process())
    # 150 messages: what the model is sent does not fit into one page, and is read with a cursor on the server.
    long = servers.manage(one.env, "shell", "--verbosity", "0", "--command", LONG).split()[-1]

    async def ask(site: Site, name: str, conversation: str = "") -> None:
        async with signed_in(site, name) as person:
            conversation = conversation or await person.new_conversation()
            async with person.socket(conversation) as socket:
                await socket.say("Hello there")
                finished = await socket.hear("run.finished")
                assert (finished["status"], finished["message"]["text"]) == ("completed", text(20))
            assert [m["text"] for m in await person.messages(conversation)][-2:] == ["Hello there", text(20)]
            found = await person.http.get("/chat/api/search/", params={"q": "there"})
            assert conversation in {result["conversation"]["id"] for result in found.json()["results"]}

    async def talk() -> None:
        others = [ask(site, name) for site in (one, two) for name in ("ada", "bob", "eve")]
        await asyncio.gather(ask(one, "ada", long), *others)
        async with signed_in(two, "root") as root:
            for page in ("conversation", "document", "run"):
                assert (await root.http.get(f"/admin/nous_chat/{page}/")).status_code == 200

    asyncio.run(talk())
    with psycopg.connect(pooled, autocommit=True, prepare_threshold=None) as connection:

        def ask_server(sql: str) -> Any:
            row = connection.execute(sql).fetchone()
            return row[0] if row else None

        limits = ("lock_timeout", "statement_timeout", "idle_in_transaction_session_timeout")
        assert [ask_server(f"SHOW {limit}") for limit in limits] == ["0", "0", "0"]
        for kept in ("pg_prepared_statements", "pg_cursors WHERE is_holdable", "pg_locks WHERE locktype = 'advisory'"):
            assert ask_server(f"SELECT count(*) FROM {kept}") == 0, kept
