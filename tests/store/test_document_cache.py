"""The texts that a process keeps: only committed ones, as many as fit, and never a wrong one."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from chat import store
from chat.documents.changesets import ChangeSet
from chat.models import Conversation, Document, DocumentUpdate
from chat.store import document_cache
from chat.store.document_log import read_text

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def empty_cache() -> Iterator[None]:
    document_cache._texts.clear()
    document_cache._chars = 0
    yield
    document_cache._texts.clear()
    document_cache._chars = 0


@pytest.fixture
def row(people: Any, room: Conversation) -> Document:
    created = store.create_document(people["ada"].pk, room.pk, store.NewDocument("Plan", text="one"))
    return Document.objects.get(pk=created.id)


def push(people: Any, row: Document, version: int, changes: list[Any]) -> None:
    store.push_changes(people["ada"].pk, row.conversation_id, row.pk, version, ChangeSet.parse(changes), None)


def read(row: Document) -> str:
    return read_text(Document.objects.get(pk=row.pk))


def test_the_newest_text_is_read_without_the_log(people: Any, row: Document) -> None:
    push(people, row, 1, [3, [0, " two"]])
    fresh = Document.objects.defer("text").get(pk=row.pk)
    with CaptureQueriesContext(
        connection,
    ) as queries:
        assert read_text(fresh) == "one two"
    assert len(queries) == 0


def test_what_others_have_changed_since_is_added(people: Any, row: Document) -> None:
    push(people, row, 1, [3, [0, " two"]])
    known = document_cache.find_text(row.pk)
    push(people, row, 2, [7, [0, " three"]])
    assert known is not None
    document_cache._keep(row.pk, known)  # another process has made the last change
    assert read(row) == "one two three"
    newest = document_cache.find_text(row.pk)
    assert newest is not None
    assert (newest.version, newest.text) == (3, "one two three")


def test_a_change_that_was_rolled_back_is_not_kept(people: Any, row: Document) -> None:
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        push(people, row, 1, [3, [0, " lost"]])
        raise ZeroDivisionError
    push(people, row, 1, [3, [0, " kept"]])
    assert read(row) == "one kept"


def test_a_version_that_was_lost_and_made_again_is_read_from_the_log(people: Any, row: Document) -> None:
    push(people, row, 1, [3, [0, " lost"]])
    lost = document_cache.find_text(row.pk)
    assert lost is not None
    DocumentUpdate.objects.filter(document=row, version=2).delete()
    Document.objects.filter(pk=row.pk).update(version=1, updated_at=row.updated_at)
    document_cache._texts.clear()
    push(people, row, 1, [3, [0, " new"]])
    document_cache._keep(row.pk, lost)
    assert read(row) == "one new"
    push(people, row, 2, [7, [0, "!"]])
    document_cache._keep(row.pk, lost)
    assert read(row) == "one new!"


def test_it_holds_no_more_than_fits(people: Any, row: Document, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(document_cache, "MAX_CHARS", 100)
    made = [
        store.create_document(people["ada"].pk, row.conversation_id, store.NewDocument(f"{n}", text="x" * 40))
        for n in range(4)
    ]
    for each in made:
        store.get_document(people["ada"].pk, each.id)
    assert list(document_cache._texts) == [made[2].id, made[3].id]
    assert document_cache._chars == 80
    assert store.get_document(people["ada"].pk, made[0].id).text == "x" * 40
