"""The history of documents: groups of updates, earlier texts, names, who wrote what, restored versions."""

import random
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.utils import timezone

from chat import store
from chat.documents.changesets import ChangeSet
from chat.models import Conversation, Document, DocumentSnapshot, DocumentUpdate
from chat.protocol import objects
from chat.store import document_snapshots, document_versions

from ..support.store_helpers import HOST, begin, refused

pytestmark = pytest.mark.django_db


def create(user: Any, room: Conversation, text: str = "") -> objects.Document:
    return store.create_document(user.pk, room.pk, store.NewDocument("Plan", text=text))


def push(user: Any, document: objects.Document, version: int, changes: list[Any]) -> None:
    store.push_changes(user.pk, document.conversation, document.id, version, ChangeSet.parse(changes), None)


def write(user: Any, document: objects.Document, text: str) -> None:
    """Add a text at the end."""
    opened = store.get_document(user.pk, document.id)
    length = len(opened.text.encode("utf-16-le")) // 2
    push(user, document, opened.version, [*([length] if length else []), [0, *text.split("\n")]])


def later(document: objects.Document, minutes: float) -> None:
    """Make all updates so far older."""
    for row in DocumentUpdate.objects.filter(document=document.id):
        DocumentUpdate.objects.filter(pk=row.pk).update(created_at=row.created_at - timedelta(minutes=minutes))


def groups(user: Any, document: objects.Document, until: int | None = None) -> list[tuple[int, int, str]]:
    page = store.list_versions(user.pk, document.id, until)
    return [(each.since, each.version, each.author.name if each.author else "") for each in page.versions]


def written(user: Any, document: objects.Document, version: int | None = None) -> list[tuple[int, int, int | None]]:
    return [(each.first, each.count, each.version) for each in store.blame(user.pk, document.id, version).lines]


def test_the_text_of_every_version_can_be_read(
    people: Any, room: Conversation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(document_snapshots, "KEEP_EVERY", 20)
    monkeypatch.setattr(document_snapshots, "READ_AT_ONCE", 7)
    ada, dice = people["ada"], random.Random(1)
    document, texts = create(ada, room), [""]
    for version in range(130):
        text = texts[-1]
        start = dice.randint(0, len(text))
        stop = dice.randint(start, min(len(text), start + 5))
        changes = ChangeSet.replace(len(text), [(start, stop, f"{version}\n")])
        push(ada, document, version, changes.to_json())
        texts.append(changes.apply(text))
    assert [store.get_document_at(ada.pk, document.id, version).text for version in range(131)] == texts
    assert store.get_document_at(ada.pk, document.id, 7).version == 7
    assert list(DocumentSnapshot.objects.values_list("version", flat=True)) == [20, 40, 60, 80, 100, 120]
    with refused("not_found"):
        store.get_document_at(ada.pk, document.id, 131)


def test_few_changes_are_applied_to_read_an_old_version(
    people: Any, room: Conversation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(document_snapshots, "KEEP_EVERY", 20)
    ada = people["ada"]
    document = create(ada, room)
    for _ in range(120):
        write(ada, document, "x")
    DocumentUpdate.objects.filter(version__lte=20).delete()  # what is before a snapshot is not needed for it
    assert len(store.get_document_at(ada.pk, document.id, 39).text) == 39
    DocumentUpdate.objects.filter(version__lte=100).delete()
    assert len(store.get_document_at(ada.pk, document.id, 119).text) == 119, "the newest stored text is nearer"


def test_updates_of_one_author_without_a_pause_are_one_version(people: Any, room: Conversation) -> None:
    ada, bob = people["ada"], people["bob"]
    document = create(ada, room, "one\n")
    write(ada, document, "two\n")
    write(bob, document, "three\n")
    later(document, 4)
    write(bob, document, "four\n")
    later(document, 6)
    write(bob, document, "five\n")
    assert groups(ada, document) == [(4, 5, "bob"), (2, 4, "bob"), (0, 2, "ada")]
    assert groups(ada, document, 4) == [(2, 4, "bob"), (0, 2, "ada")]
    assert groups(ada, document, 0) == []


def test_a_run_is_one_version_and_names_its_agent(people: Any, room: Conversation) -> None:
    ada = people["ada"]
    document = create(ada, room, "one")
    started = begin(ada, room)
    assert started.message.run is not None
    run = started.message.run.id
    for version in (1, 2):
        store.push_changes_by_run(run, HOST, document.id, version, ChangeSet.parse([2 + version, [0, "!"]]))
    newest, first = store.list_versions(ada.pk, document.id, None).versions
    assert (newest.since, newest.version, newest.author, newest.run) == (1, 3, None, run)
    assert newest.agent is not None
    assert newest.agent.slug == "assistant"
    assert (first.agent, first.run) == (None, None)
    (line,) = store.blame(ada.pk, document.id, None).lines
    assert (line.version, line.run, line.agent) == (3, run, newest.agent)


def test_a_name_ends_a_version_and_can_be_taken_away(people: Any, room: Conversation) -> None:
    ada = people["ada"]
    document = create(ada, room, "one")
    write(ada, document, "two")
    assert store.name_version(ada.pk, room.pk, document.id, 1, " First \n draft ") == "First draft"
    newest, first = store.list_versions(ada.pk, document.id, None).versions
    assert [(each.version, each.name) for each in (newest, first)] == [(2, ""), (1, "First draft")]
    store.name_version(ada.pk, room.pk, document.id, 1, "")
    assert groups(ada, document) == [(0, 2, "ada")]
    for version in (0, 3):
        with refused("not_found"):
            store.name_version(ada.pk, room.pk, document.id, version, "x")
    with refused("too_large"):
        store.name_version(ada.pk, room.pk, document.id, 1, "x" * 101)


@pytest.mark.parametrize(("per_page", "looked_at"), [(3, 2_000), (50, 9)])
def test_pages_of_versions_are_the_same_groups_wherever_they_begin(
    people: Any, room: Conversation, monkeypatch: pytest.MonkeyPatch, per_page: int, looked_at: int
) -> None:
    monkeypatch.setattr(document_versions, "KEEP_EVERY", 8)
    ada, bob = people["ada"], people["bob"]
    document = create(ada, room)
    for number in range(40):
        write(bob if number % 11 in (3, 4) else ada, document, "x")
    everything = store.list_versions(ada.pk, document.id, None)
    assert not everything.more
    assert max(each.version - each.since for each in everything.versions) <= 8
    assert [each.since for each in everything.versions[:-1]] == [each.version for each in everything.versions[1:]]
    monkeypatch.setattr(document_versions, "GROUPS_PER_PAGE", per_page)
    monkeypatch.setattr(document_versions, "UPDATES_PER_PAGE", looked_at)
    found: list[Any] = []
    until = None
    while True:
        page = store.list_versions(ada.pk, document.id, until)
        found += page.versions
        if not page.more:
            break
        until = page.versions[-1].since
    assert found == everything.versions


def test_each_line_names_who_wrote_its_newest_text(people: Any, room: Conversation) -> None:
    ada, bob = people["ada"], people["bob"]
    document = create(ada, room, "one\ntwo 😀\nthree")
    write(bob, document, "\nfour\n\nsix")
    assert written(ada, document) == [(1, 3, 1), (4, 3, 2)]
    push(bob, document, 2, [10, [0, "!"], 16])  # in the second line
    assert written(ada, document) == [(1, 1, 1), (2, 1, 3), (3, 1, 1), (4, 3, 3)], "versions 2 and 3 are one of bob's"
    push(ada, document, 3, [4, [8], 15])  # without it
    assert written(ada, document) == [(1, 2, 1), (3, 3, 3)]
    assert written(ada, document, 1) == [(1, 3, 1)]
    assert written(ada, document, 0) == [(1, 1, None)]


def test_lines_that_are_older_than_what_is_looked_at_name_nobody(
    people: Any, room: Conversation, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada, bob = people["ada"], people["bob"]
    document = create(ada, room, "one\n")
    write(bob, document, "two\n")
    write(ada, document, "three\n")
    monkeypatch.setattr(document_versions, "MAX_BLAMED_UPDATES", 2)
    found = store.blame(ada.pk, document.id, None)
    assert found.since == 1
    assert written(ada, document) == [(1, 1, None), (2, 1, 2), (3, 2, 3)]
    monkeypatch.setattr(document_versions, "MAX_BLAMED_CHARS", 20)
    assert store.blame(ada.pk, document.id, None).since == 2


def test_only_participants_see_the_history_and_only_writers_name_versions(
    people: Any, room: Conversation, viewer: Any
) -> None:
    ada, stranger = people["ada"], get_user_model().objects.create_user("mallory")
    document = create(ada, room, "one")
    assert groups(viewer, document) == [(0, 1, "ada")]
    assert written(viewer, document) == [(1, 1, 1)]
    with refused("forbidden"):
        store.name_version(viewer.pk, room.pk, document.id, 1, "x")
    with refused("forbidden"):
        store.read_texts(viewer.pk, room.pk, document.id, 0)
    for work in (
        lambda: store.get_document_at(stranger.pk, document.id, 0),
        lambda: store.list_versions(stranger.pk, document.id, None),
        lambda: store.blame(stranger.pk, document.id, None),
        lambda: store.list_proposals(stranger.pk, document.id),
    ):
        with refused("not_found"):
            work()
    elsewhere = store.create_conversation(stranger)
    with refused("not_found"):
        store.name_version(stranger.pk, elsewhere.id, document.id, 1, "x")
    with refused("not_found"):
        store.read_texts(stranger.pk, elsewhere.id, document.id, 0)


def test_a_document_gets_another_title_kind_and_language(people: Any, room: Conversation) -> None:
    ada = people["ada"]
    document = create(ada, room, "one")
    changed = store.change_document(ada.pk, room.pk, document.id, store.DocumentChanges(kind="code", language="python"))
    assert (changed.title, changed.kind, changed.language, changed.version) == ("Plan", "code", "python", 1)
    assert store.change_document(ada.pk, room.pk, document.id, store.DocumentChanges("Idea")).title == "Idea"
    for changes, code in (
        (store.DocumentChanges(" "), "empty"),
        (store.DocumentChanges(kind="x"), "invalid"),
        (store.DocumentChanges(language="<b>"), "invalid"),
        (store.DocumentChanges("x" * 201), "too_large"),
    ):
        with refused(code):
            store.change_document(ada.pk, room.pk, document.id, changes)
    assert store.list_documents(ada.pk, room.pk)[0].title == "Idea"


def test_a_deleted_document_is_gone_until_it_is_restored(people: Any, room: Conversation, settings: Any) -> None:
    ada, bob = people["ada"], people["bob"]
    document = create(bob, room, "one")
    other = create(ada, room)
    with refused("forbidden"):
        store.delete_document(bob.pk, room.pk, other.id)  # neither its creator nor an owner
    store.delete_document(bob.pk, room.pk, document.id)
    for work in (
        lambda: store.get_document(ada.pk, document.id),
        lambda: store.list_updates(ada.pk, document.id, 0),
        lambda: store.sync_document(ada.pk, room.pk, document.id, 0),
        lambda: push(ada, document, 1, [3]),
        lambda: store.delete_document(ada.pk, room.pk, document.id),
        lambda: store.name_version(ada.pk, room.pk, document.id, 1, "x"),
    ):
        with refused("not_found"):
            work()
    assert [each.id for each in store.list_documents(ada.pk, room.pk)] == [other.id]
    assert [each.id for each in store.read_snapshot(ada.pk, room.pk).documents] == [other.id]
    settings.NOUS_CHAT = {"MAX_DOCUMENTS": 1}
    with refused("conflict"):
        store.undelete_document(ada.pk, room.pk, document.id)
    settings.NOUS_CHAT = {}
    assert store.undelete_document(ada.pk, room.pk, document.id).id == document.id
    assert store.undelete_document(bob.pk, room.pk, document.id).id == document.id
    assert store.get_document(ada.pk, document.id).text == "one"
    store.delete_document(ada.pk, room.pk, document.id)
    Document.objects.filter(pk=document.id).update(deleted_at=timezone.now() - timedelta(days=1))
    with refused("not_found"):
        store.undelete_document(ada.pk, room.pk, document.id)


def test_a_deleted_document_is_erased_after_a_while_a_batch_at_a_time(
    people: Any, room: Conversation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(document_snapshots, "KEEP_EVERY", 2)
    ada = people["ada"]
    document, other = create(ada, room), create(ada, room, "stays")
    for _ in range(150):
        write(ada, document, "x")
    store.delete_document(ada.pk, room.pk, document.id)
    assert store.erase_expired() == 0
    Document.objects.filter(pk=document.id).update(deleted_at=timezone.now() - timedelta(days=1))
    assert 0 < store.erase_expired() <= 200
    assert Document.objects.filter(pk=document.id).exists(), "not yet"
    while store.erase_expired():
        pass
    assert list(Document.objects.values_list("pk", flat=True)) == [other.id]
    assert not DocumentSnapshot.objects.exists()
    assert DocumentUpdate.objects.count() == 1


def test_creating_it_again_with_the_same_client_id_creates_nothing(people: Any, room: Conversation) -> None:
    ada, key = people["ada"], room.pk
    new = store.NewDocument("Plan", client_id=key)
    first = store.create_document(ada.pk, room.pk, new)
    assert store.create_document(ada.pk, room.pk, new) == first
    assert store.create_document(people["bob"].pk, room.pk, new).id != first.id
    store.delete_document(ada.pk, room.pk, first.id)
    with refused("not_found"):
        store.create_document(ada.pk, room.pk, new)


def test_a_snapshot_lists_the_documents_without_their_texts(people: Any, room: Conversation) -> None:
    ada = people["ada"]
    first, second = create(ada, room, "one"), create(people["bob"], room)
    snapshot = store.read_snapshot(ada.pk, room.pk)
    assert snapshot.documents == [first, second]
    assert [each.created_by.name for each in snapshot.documents if each.created_by] == ["ada", "bob"]
