"""The limits of a unit of work, without which one who holds a lock would hold up everybody's work."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection

from chat.models import Conversation
from chat.store.unit_of_work import unit_of_work

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(connection.vendor != "postgresql", reason="PostgreSQL's limits"),
]


def show(name: str) -> str:
    with connection.cursor() as cursor:
        cursor.execute(f"SHOW {name}")
        return str(cursor.fetchone()[0])


def test_the_first_statement_has_the_limits_and_what_follows_the_transaction_has_the_sites() -> None:
    of_the_site = show("lock_timeout")
    for _ in range(2):
        with unit_of_work():
            assert (show("lock_timeout"), show("statement_timeout")) == ("50ms", "5s")
        assert show("lock_timeout") == of_the_site != "50ms"


def read_pages() -> None:
    assert list(Conversation.objects.iterator(chunk_size=1)) == []


def write_many() -> None:
    with connection.cursor() as cursor:
        cursor.executemany("SELECT %s", [[1], [2]])


def count_changed() -> None:
    Conversation.objects.create()
    assert Conversation.objects.update(title="Plan") == 1


def with_parameters() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT %s, '100%%'", ["a; b"])
        assert cursor.fetchall() == [("a; b", "100%")]
        assert cursor.description[0].name == "?column?"


@pytest.mark.parametrize("first", [read_pages, write_many, count_changed, with_parameters])
def test_any_statement_may_be_the_first(first: Callable[[], Any]) -> None:
    with unit_of_work():
        first()
        assert show("lock_timeout") == "50ms"
