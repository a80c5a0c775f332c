"""Helpers for tests of the store: post a message, start and end its run, expect a refusal."""

import uuid
from collections.abc import Iterable
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth import get_user_model
from django.core.signals import request_finished
from django.db import close_old_connections, connection

from chat import store
from chat.models import Conversation, Message, Participant, Run
from chat.protocol import objects
from chat.protocol.errors import Refused
from chat.store.search import index_message

HOST = "here:1:a"


def post(user: Any, room: Conversation, text: str = "Hello", **fields: Any) -> store.Posted:
    given: dict[str, Any] = {"client_id": uuid.uuid4(), "mode": None, "host": HOST} | fields
    return store.post_message(user.pk, room.pk, text, **given)


def join(user: Any, token: str) -> store.Joined:
    (outcome,) = store.join_together([store.Join(user, token, "en")])
    if isinstance(outcome, Refused):
        raise outcome
    return outcome


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
    given: dict[str, Any] = {"status": status, "written": store.Written(3, text, "")} | fields
    ending = store.Ending(**given)
    return store.finish_run(started.message.run.id, HOST, ending)


def index(rows: Iterable[Message]) -> None:
    """Index messages that were created without the store's functions."""
    for row in rows:
        index_message(row)


def run_row(run_id: uuid.UUID | None) -> Run:
    """The row of a run that a unit of work queued."""
    assert run_id is not None
    return Run.objects.get(pk=run_id)


def pause(started: store.StartedRun) -> None:
    """Make a run wait for an approval."""
    assert started.message.run is not None
    Run.objects.filter(pk=started.message.run.id).update(status="awaiting_approval")


def state_of(user: Any, room: Conversation) -> objects.Yours:
    """What is this user's own about a conversation: unread messages, read marker, pin, archive."""
    state = store.get_conversation(user.pk, room.pk).yours
    assert state is not None
    return state


def read_body(response: Any) -> bytes:
    """The body of a test client's response. Files come as an asynchronous stream."""

    async def read() -> bytes:
        return b"".join([chunk async for chunk in response])

    body: bytes = async_to_sync(read)() if response.streaming else response.content
    request_finished.disconnect(close_old_connections)  # as the client does: the connection holds a transaction
    response.close()
    request_finished.connect(close_old_connections)
    return body


def somebody_waits() -> bool:
    """True if a connection to PostgreSQL waits for a lock."""
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


def reap() -> list[store.FinishedRun]:
    """End every run of a silent process, at once."""
    return store.reap_runs(store.find_silent_runs())


def invite_crowd(room: Conversation, number: int) -> list[Participant]:
    """Make a conversation one of `number` more people, the first of whom have read its first message."""
    User = get_user_model()
    users = User._default_manager.bulk_create(User(username=f"crowd-{index}") for index in range(number))
    crowd = [Participant(conversation=room, user=user, last_read=index < 2) for index, user in enumerate(users)]
    return Participant.objects.bulk_create(crowd)
