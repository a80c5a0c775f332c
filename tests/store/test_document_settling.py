"""Documents are found by the search some seconds after a change, and only by those who may read them."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.utils import timezone

from chat import fulltext, store
from chat.documents.changesets import ChangeSet
from chat.models import Conversation, Document, DocumentSnapshot, Participant, Passage
from chat.node import heartbeat
from chat.protocol import objects
from chat.store import document_settling, document_snapshots

from ..support.client import InProcess

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """No document has to be quiet for a while."""
    monkeypatch.setattr(document_settling, "QUIET", timedelta(seconds=-1))


def create(user: Any, room: Conversation, text: str, **fields: Any) -> objects.Document:
    return store.create_document(user.pk, room.pk, store.NewDocument(**{"title": "Plan", "text": text} | fields))


def write(user: Any, document: objects.Document, text: str) -> None:
    opened = store.get_document(user.pk, document.id)
    changes = ChangeSet.of([(len(opened.text), None), (0, text)])
    store.push_changes(user.pk, document.conversation, document.id, opened.version, changes, None)


def settle() -> int:
    """What a process does every now and then. Returns how many documents it has indexed."""
    number = 0
    while (unsettled := store.find_unsettled_document()) is not None:
        if unsettled.text is not None:
            store.settle_document(unsettled, fulltext.make_index_text(f"{unsettled.title}\n{unsettled.text}"))
            number += 1
    return number


def found(user: Any, query: str) -> list[tuple[str, str]]:
    results = store.search_conversations(user.pk, query, None).results
    return [(each.document.title, each.excerpt) for each in results if each.document is not None]


def test_a_document_is_found_by_its_words_and_its_title(people: Any, room: Conversation) -> None:
    ada = people["ada"]
    document = create(ada, room, "# Über\n\nTea for **two**")
    assert found(ada, "tea") == []
    assert settle() == 1
    assert found(ada, "uber tea") == [("Plan", "Über  Tea for two")]
    assert found(ada, "plan two") == [("Plan", "Über  Tea for two")]
    (result,) = store.search_conversations(ada.pk, "tea", None).results
    assert (result.message, result.conversation.id) == (None, room.pk)
    assert [result.excerpt[a:b] for a, b in result.matches] == ["Tea"]
    write(ada, document, " and cake")
    assert settle() == 1
    assert settle() == 0
    assert found(ada, "cake") == [("Plan", "Über  Tea for two and cake")]
    store.change_document(ada.pk, room.pk, document.id, store.DocumentChanges("Menu", kind="code"))
    settle()
    assert found(ada, "plan") == []
    assert found(ada, "menu") == [("Menu", "# Über  Tea for **two** and cake")]
    assert Passage.objects.filter(document=document.id).count() == 1


def test_only_participants_find_a_document_and_nobody_one_that_is_deleted(people: Any, room: Conversation) -> None:
    ada, stranger = people["ada"], get_user_model().objects.create_user("mallory")
    document = create(ada, room, "tea")
    settle()
    assert found(people["bob"], "tea") == [("Plan", "tea")]
    assert found(stranger, "tea") == []
    store.delete_document(ada.pk, room.pk, document.id)
    assert found(ada, "tea") == []
    store.undelete_document(ada.pk, room.pk, document.id)
    assert found(ada, "tea") == [("Plan", "tea")]
    Participant.objects.filter(user=people["bob"]).delete()
    assert found(people["bob"], "tea") == []
    write(ada, document, "!")
    Document.objects.update(deleted_at=timezone.now() - timedelta(days=1))
    assert settle() == 0
    while store.erase_expired():
        pass
    assert not Passage.objects.exclude(document=None).exists()


def test_a_text_without_words_has_no_passage(people: Any, room: Conversation) -> None:
    ada = people["ada"]
    document = create(ada, room, "tea", title="*")
    settle()
    store.push_changes(ada.pk, room.pk, document.id, 1, ChangeSet.parse([[3, "*"]]), None)
    settle()
    assert not Passage.objects.filter(document=document.id).exists()
    assert settle() == 0


def test_documents_that_people_are_changing_are_left_alone_unless_they_never_stop(
    people: Any, room: Conversation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(document_settling, "QUIET", timedelta(minutes=1))
    monkeypatch.setattr(document_settling, "MAX_BEHIND", 5)
    ada = people["ada"]
    document = create(ada, room, "tea")
    assert settle() == 0
    for _ in range(4):
        write(ada, document, "!")
    assert settle() == 1
    assert settle() == 0


def test_a_change_in_between_is_not_lost(people: Any, room: Conversation) -> None:
    ada = people["ada"]
    document = create(ada, room, "tea")
    unsettled = store.find_unsettled_document()
    assert unsettled is not None
    write(ada, document, " cake")
    store.settle_document(unsettled, "plan tea")
    assert store.get_document(ada.pk, document.id).text == "tea cake"
    assert found(ada, "cake") == []
    settle()
    assert found(ada, "cake") == [("Plan", "tea cake")]


def test_what_another_process_has_indexed_is_left_alone(people: Any, room: Conversation) -> None:
    ada = people["ada"]
    document = create(ada, room, "tea")
    unsettled = store.find_unsettled_document()
    assert unsettled is not None
    write(ada, document, " cake")
    settle()
    store.settle_document(unsettled, "plan tea")
    assert found(ada, "cake") == [("Plan", "tea cake")]
    row = Document.objects.get()
    assert (row.version, row.text_version, row.settled_version, row.text) == (2, 2, 2, "tea cake")


def test_a_new_title_in_between_is_not_lost(people: Any, room: Conversation) -> None:
    ada = people["ada"]
    document = create(ada, room, "tea")
    unsettled = store.find_unsettled_document()
    assert unsettled is not None
    store.change_document(ada.pk, room.pk, document.id, store.DocumentChanges("Menu"))
    store.settle_document(unsettled, "plan tea")
    settle()
    assert found(ada, "menu") == [("Menu", "tea")]


def test_texts_that_a_process_of_the_release_before_has_not_kept_are_kept_later(
    people: Any, room: Conversation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(document_snapshots, "KEEP_EVERY", 4)
    ada = people["ada"]
    document = create(ada, room, "")
    for number in range(18):
        write(ada, document, str(number % 10))
    kept = list(DocumentSnapshot.objects.values_list("version", "text"))
    assert [version for version, _ in kept] == [4, 8, 12, 16]
    DocumentSnapshot.objects.exclude(version=8).delete()
    Document.objects.update(settled_version=0)
    settle()
    assert list(DocumentSnapshot.objects.values_list("version", "text")) == kept[1:], "what is before the last is not"
    DocumentSnapshot.objects.all().delete()
    Document.objects.update(settled_version=0)
    settle()
    assert list(DocumentSnapshot.objects.values_list("version", "text")) == kept


def test_a_process_indexes_documents_by_the_way(
    scenario: Callable[..., Any], people: Any, room: Conversation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heartbeat, "SETTLE_EVERY", 0.0)
    indexed, settle_document = asyncio.Event(), store.settle_document
    create(people["ada"], room, "tea")

    async def talk() -> None:
        loop = asyncio.get_running_loop()

        def observed(*args: Any) -> None:
            settle_document(*args)
            loop.call_soon_threadsafe(indexed.set)

        monkeypatch.setattr(store, "settle_document", observed)
        async with InProcess(people["ada"], room.pk), asyncio.timeout(60):
            await indexed.wait()

    scenario(talk)
    assert found(people["ada"], "tea") == [("Plan", "tea")]
