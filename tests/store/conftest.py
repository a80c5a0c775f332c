"""Fixtures of the store's tests."""

from typing import Any

import pytest

from chat.models import Conversation, Participant


@pytest.fixture(autouse=True)
def one_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the test's connection: what is published after a request reads the database in the same thread."""
    monkeypatch.setattr("channels.db.close_old_connections", lambda: None)


@pytest.fixture
def viewer(people: Any, room: Conversation) -> Any:
    Participant.objects.create(conversation=room, user=people["eve"], role="viewer")
    return people["eve"]


@pytest.fixture
def patient_locks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Units of work of this process wait for a lock until the other transaction ends, however busy the machine is."""
    monkeypatch.setattr("chat.store.unit_of_work._POSTGRESQL_LIMITS", "SET LOCAL lock_timeout = '60s'")
