"""What tests of units of work share: say something, begin and end its run, expect a refusal."""

import uuid
from typing import Any

import pytest
from django.db import connection

from chat import store
from chat.models import Conversation
from chat.protocol.errors import Refused

HOST = "here:1:a"


def post(user: Any, room: Conversation, text: str = "Hello", **fields: Any) -> store.Posted:
    given: dict[str, Any] = {"client_id": uuid.uuid4(), "mode": None, "host": HOST} | fields
    return store.post_message(user.pk, room.pk, text, **given)


def begin(user: Any, room: Conversation, text: str = "Hello") -> store.StartedRun:
    run_id = post(user, room, text).start
    assert run_id is not None
    started = store.start_run(run_id, HOST)
    assert started is not None
    return started


def end(
    started: store.StartedRun, status: str = "completed", text: str = "Hi", **fields: Any
) -> store.FinishedRun | None:
    assert started.message.run is not None
    ending = store.Ending(status=status, written=store.Written(3, text, ""), **fields)
    return store.finish_run(started.message.run.id, HOST, ending)


def somebody_waits() -> bool:
    """Whether a connection to PostgreSQL waits for what another one has locked."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'")
        return cursor.fetchone() is not None


def refused(code: str) -> Any:
    class Expect:
        def __enter__(self) -> None:
            self._raises = pytest.raises(Refused)
            self._caught = self._raises.__enter__()

        def __exit__(self, *args: Any) -> bool:
            done = bool(self._raises.__exit__(*args))
            assert self._caught.value.code == code
            return done

    return Expect()
