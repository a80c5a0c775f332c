"""Migrations: they convert the data of older versions, and do not depend on code that may change."""

import ast
import sqlite3
import uuid
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.operations import AddField, DeleteModel, RemoveField, RenameField, RenameModel
from django.db.models import NOT_PROVIDED

import chat.migrations

from ..support.servers import environment, manage

MIGRATIONS = Path(chat.migrations.__path__[0])

# Django writes the callable of a field's `storage` into the migration by its name, and compares it with the model's.
ALLOWED_IMPORTS = {
    "0003_content.py": {"attachment_storage"},
    "0020_holds.py": {"protection"},
    "0026_decided_proposals.py": {"protection"},
}

NOW = "2026-11-20 09:30:00"


def test_a_process_of_the_version_before_can_write_to_the_new_tables() -> None:
    """It inserts rows without the new columns. Older migrations are those of versions that nobody updates from."""
    loader = MigrationLoader(None, ignore_no_migrations=True)
    for (app, name), migration in loader.disk_migrations.items():
        if app != "nous_chat" or name < "0008":
            continue
        for operation in migration.operations:
            if isinstance(operation, AddField):
                field = operation.field
                named = f"{name}: {operation.model_name}.{operation.name}"
                assert field.null or field.db_default is not NOT_PROVIDED, named
            else:
                assert not isinstance(operation, RemoveField | RenameField | RenameModel | DeleteModel), name


@pytest.mark.site
def test_regenerated_answers_become_alternatives_and_old_texts_can_be_searched(tmp_path: Path) -> None:
    file = tmp_path / "db.sqlite3"
    env = environment(DATABASE_URL=f"sqlite:///{file}")
    manage(env, "migrate", "auth", "--verbosity", "0")
    manage(env, "migrate", "nous_chat", "0002", "--verbosity", "0")
    room, question, first, second, third = (uuid.uuid4().hex for _ in range(5))
    with closing(sqlite3.connect(file)) as db, db:
        when = {"created_at": NOW, "updated_at": NOW}
        insert(
            db,
            "nous_chat_conversation",
            id=room,
            title="Old plans",
            agent="assistant",
            mode="queue",
            last_seq=4,
            **when,
        )
        said = [
            (question, "user", "Tea?", None),
            (first, "assistant", "One", None),
            (second, "assistant", "Two", first),
            (third, "assistant", "Three", second),
        ]
        for seq, (key, role, text, replaces) in enumerate(said, 1):
            message = {"id": key, "conversation_id": room, "seq": seq, "role": role, "text": text, "thinking": ""}
            insert(db, "nous_chat_message", **message, replaces_id=replaces, created_at=NOW)
            if role == "assistant":
                run = {
                    "id": uuid.uuid4().hex,
                    "conversation_id": room,
                    "message_id": key,
                    "status": "completed",
                    "seq": 1,
                }
                empty = dict.fromkeys(("model", "host", "error_code", "error_message", "transcript"), "")
                insert(db, "nous_chat_run", **run, **empty, agent="assistant", heartbeat_at=NOW, created_at=NOW)
        db.execute("INSERT INTO auth_user (password, is_superuser, username, last_name, email, is_staff, is_active, "
                   "date_joined, first_name) VALUES ('', 0, 'ada', '', '', 0, 1, ?, '')", [NOW])  # fmt: skip
        insert(db, "nous_chat_participant", conversation_id=room, user_id=1, role="owner", joined_at=NOW)

    manage(env, "migrate", "--verbosity", "0")
    with closing(sqlite3.connect(file)) as db, db:
        rows = db.execute("SELECT text, alternative_of_id, shown, replaces_id FROM nous_chat_message ORDER BY seq")
        assert rows.fetchall() == [
            ("Tea?", None, 1, None), ("One", first, 0, None), ("Two", first, 0, None), ("Three", first, 1, None),
        ]  # fmt: skip
        assert db.execute("SELECT last_read FROM nous_chat_participant").fetchall() == [(4,)], (
            "nothing is unread after the migration"
        )
    looked_up = (
        "from chat import store; "
        "words = ('plans', 'tea', 'three', 'two'); "
        "print([found.excerpt for word in words for found in store.search_conversations(1, word, None).results])"
    )
    assert manage(env, "shell", "-v0", "-c", looked_up).strip() == "['Old plans', 'Tea?', 'Three']"

    manage(env, "migrate", "nous_chat", "0005", "--verbosity", "0")
    manage(env, "migrate", "nous_chat", "zero", "--verbosity", "0")
    manage(env, "migrate", "--verbosity", "0")


def insert(db: sqlite3.Connection, table: str, **values: Any) -> None:
    columns, marks = ", ".join(values), ", ".join("?" * len(values))
    db.execute(f"INSERT INTO {table} ({columns}) VALUES ({marks})", list(values.values()))


def test_no_migration_uses_live_code_of_the_app() -> None:
    for file in sorted(MIGRATIONS.glob("0*.py")):
        tree = ast.parse(file.read_text("utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.level:
                names = {alias.name for alias in node.names}
                assert names <= ALLOWED_IMPORTS.get(file.name, set()), f"{file.name} imports {names} from the app"
            elif isinstance(node, (ast.Import, ast.ImportFrom)):
                modules = (
                    [node.module or ""] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
                )
                for module in modules:
                    assert module.split(".")[0] not in ("chat", "nous_chat"), f"{file.name} imports {module}"
