"""Documents: their rows, their logs, and who may change them."""

import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from chat import store
from chat.documents.changesets import ChangeSet
from chat.models import Conversation, Document, DocumentUpdate
from chat.protocol import objects
from chat.store.document_log import SNAPSHOT_EVERY
from chat.store.documents import UPDATES_PER_PAGE

from ..support.store_helpers import begin, end, refused

pytestmark = pytest.mark.django_db


def create(user: Any, room: Conversation, text: str = "one\ntwo", **fields: Any) -> objects.Document:
    return store.create_document(user.pk, room.pk, store.NewDocument(**{"title": "Plan", "text": text} | fields))


def push(
    user: Any, document: objects.Document, version: int, changes: list[Any], client_id: uuid.UUID | None = None
) -> store.PushedChange:
    parsed = ChangeSet.parse(changes)
    return store.push_changes(user.pk, document.conversation, document.id, version, parsed, client_id)


def text_of(user: Any, document: objects.Document) -> tuple[int, str]:
    opened = store.get_document(user.pk, document.id)
    return opened.version, opened.text


def test_changes_are_appended_to_the_log_and_change_the_text(people: Any, room: Conversation) -> None:
    ada = people["ada"]
    document = create(ada, room, "one\r\ntwo 😀")
    assert text_of(ada, document) == (1, "one\ntwo 😀")
    pushed = push(ada, document, 1, [10, [0, "!"]])
    assert (pushed.update.version, pushed.update.changes, pushed.update.run) == (2, [10, [0, "!"]], None)
    assert pushed.update.author is not None
    assert pushed.update.author.name == "ada"
    assert text_of(ada, document) == (2, "one\ntwo 😀!")
    log = store.list_updates(ada.pk, document.id, 0)
    assert [(each.version, each.changes) for each in log.updates] == [(1, [[0, "one", "two 😀"]]), (2, [10, [0, "!"]])]
    assert not log.more
    assert [each.version for each in store.list_updates(ada.pk, document.id, 1).updates] == [2]
    (listed,) = store.list_documents(ada.pk, room.pk)
    assert (listed.title, listed.kind, listed.version) == ("Plan", "markdown", 2)


def test_a_stale_change_is_refused_and_can_be_rebased(people: Any, room: Conversation) -> None:
    ada = people["ada"]
    document = create(ada, room)
    push(ada, document, 1, [[0, "zero", ""], 7])
    mine = ChangeSet.parse([7, [0, "", "three"]])
    with refused("stale"):
        push(ada, document, 1, mine.to_json())
    (missed,) = store.list_updates(ada.pk, document.id, 1).updates
    push(ada, document, 2, mine.map(ChangeSet.parse(missed.changes)).to_json())
    assert text_of(ada, document) == (3, "zero\none\ntwo\nthree")
    with refused("stale"):
        push(ada, document, 9, [18])


def test_a_change_that_is_pushed_again_changes_nothing(people: Any, room: Conversation) -> None:
    ada, key = people["ada"], uuid.uuid4()
    document = create(ada, room, "")
    assert not push(ada, document, 0, [[0, "a"]], key).repeated
    push(ada, document, 1, [1, [0, "b"]])
    again = push(ada, document, 0, [[0, "a"]], key)
    assert (again.repeated, again.update.version) == (True, 1)
    assert text_of(ada, document) == (2, "ab")


def test_what_does_not_fit_is_refused_and_changes_nothing(people: Any, room: Conversation, settings: Any) -> None:
    ada = people["ada"]
    document = create(ada, room, "a😀")
    for changes in ([2], [9], [2, [1]], [[99]]):
        with refused("invalid"):
            push(ada, document, 1, changes)
    settings.NOUS_CHAT = {"MAX_DOCUMENT_CHARS": 5, "MAX_DOCUMENTS": 2, "MAX_DOCUMENT_UPDATES": 2}
    with refused("too_large"):
        push(ada, document, 1, [3, [0, "bcde"]])
    with refused("too_large"):
        create(ada, room, "123456")
    with refused("invalid"):
        create(ada, room, kind="nonsense")
    with refused("invalid"):
        create(ada, room, language="<script>")
    with refused("empty"):
        create(ada, room, title=" \u200b")
    create(ada, room, "", kind="code", language="c++")
    with refused("conflict"):
        create(ada, room, "")
    push(ada, document, 1, [3, [0, "b"]])
    with refused("conflict"):
        push(ada, document, 2, [4, [0, "c"]])
    assert text_of(ada, document) == (2, "a😀b")


def test_only_those_who_can_write_in_the_conversation_change_its_documents(
    people: Any, room: Conversation, viewer: Any
) -> None:
    ada, stranger = people["ada"], get_user_model().objects.create_user("mallory")
    document = create(ada, room)
    assert text_of(viewer, document) == (1, "one\ntwo")
    with refused("forbidden"):
        push(viewer, document, 1, [7, [0, "!"]])
    with refused("forbidden"):
        create(viewer, room)
    for work in (
        lambda: store.get_document(stranger.pk, document.id),
        lambda: store.list_updates(stranger.pk, document.id, 0),
        lambda: store.list_documents(stranger.pk, room.pk),
        lambda: push(stranger, document, 1, [7, [0, "!"]]),
    ):
        with refused("not_found"):
            work()
    elsewhere = store.create_conversation(stranger)
    with refused("not_found"):  # a document of another conversation than one's own
        store.push_changes(stranger.pk, elsewhere.id, document.id, 1, ChangeSet.parse([7]), None)
    with refused("not_found"):
        store.sync_document(stranger.pk, elsewhere.id, document.id, 0)
    store.delete_conversation(ada.pk, room.pk)
    with refused("not_found"):
        store.get_document(ada.pk, document.id)
    with refused("not_found"):
        push(ada, document, 1, [7, [0, "!"]])


def test_a_long_log_is_read_from_snapshots_and_in_pages(people: Any, room: Conversation) -> None:
    ada = people["ada"]
    document = create(ada, room, "")
    for version in range(UPDATES_PER_PAGE + 5):
        push(ada, document, version, [version, [0, str(version % 10)]])
    row = Document.objects.get()
    assert row.version - row.text_version < SNAPSHOT_EVERY
    assert text_of(ada, document)[1] == "".join(str(number % 10) for number in range(UPDATES_PER_PAGE + 5))
    first = store.list_updates(ada.pk, document.id, 0)
    assert (len(first.updates), first.more) == (UPDATES_PER_PAGE, True)
    rest = store.list_updates(ada.pk, document.id, first.updates[-1].version)
    assert (len(rest.updates), rest.more) == (5, False)


def test_a_page_of_the_log_is_not_larger_than_its_limit(people: Any, room: Conversation) -> None:
    ada = people["ada"]
    document = create(ada, room, "")
    for version in range(3):
        push(ada, document, version, [100_000 * version, [0, "x" * 100_000]])
    store.push_changes(ada.pk, room.pk, document.id, 3, ChangeSet.parse([300_000, [0, "y" * 200_000]]), None)
    since, pages = 0, []
    while True:
        page = store.list_updates(ada.pk, document.id, since)
        pages.append([each.version for each in page.updates])
        since = pages[-1][-1]
        if not page.more:
            break
    assert pages == [[1, 2], [3], [4]]
    assert store.list_updates(ada.pk, document.id, 4) == store.DocumentUpdates([], False, None)


def test_a_fork_has_copies_of_the_documents(people: Any, room: Conversation) -> None:
    ada = people["ada"]
    document = create(ada, room, kind="code", language="python")
    push(ada, document, 1, [7, [0, "!"]])
    started = begin(ada, room)
    end(started)
    copy = store.fork_conversation(ada.pk, room.pk, started.message.id)
    (copied,) = store.list_documents(ada.pk, copy.id)
    assert (copied.title, copied.kind, copied.language) == ("Plan", "code", "python")
    assert text_of(ada, copied) == (1, "one\ntwo!")
    push(ada, copied, 1, [8, [0, "?"]])
    assert text_of(ada, document) == (2, "one\ntwo!")


def test_documents_are_erased_with_their_conversation(people: Any, room: Conversation) -> None:
    ada = people["ada"]
    document = create(ada, room)
    for version in range(1, 120):
        push(ada, document, version, [7])
    store.delete_conversation(ada.pk, room.pk)
    Conversation.objects.update(deleted_at=timezone.now() - timedelta(days=1))
    assert store.erase_expired() <= 200
    while store.erase_expired():
        pass
    assert not Document.objects.exists()
    assert not DocumentUpdate.objects.exists()


def test_documents_over_http(people: Any, room: Conversation) -> None:
    client = Client()
    client.force_login(people["ada"])
    listing = reverse("nous_chat:api-documents", args=[room.pk])
    new = {"title": "Table", "kind": "csv", "text": "a,b"}
    created = client.post(listing, new, "application/json")
    assert created.status_code == 201
    key = created.json()["id"]
    assert client.get(listing).json()["documents"] == [created.json()]
    address = reverse("nous_chat:api-document-push", args=[room.pk, key])
    body = {"version": 1, "changes": [3, [0, "", "1,2"]]}
    assert client.post(address, body, "application/json").status_code == 200
    stale = client.post(address, body, "application/json")
    assert (stale.status_code, stale.json()["code"]) == (409, "stale")
    opened = client.get(reverse("nous_chat:api-document", args=[key])).json()
    assert (opened["text"], opened["version"], opened["conversation"]) == ("a,b\n1,2", 2, str(room.pk))
    updates = client.get(reverse("nous_chat:api-document-updates", args=[key]) + "?since=1").json()
    assert [each["changes"] for each in updates["updates"]] == [[3, [0, "", "1,2"]]]
    wrong: list[Any] = ["x", [[]], [-1], [True], [[1, 2]], [[0, "a\nb"]]]
    for changes in wrong:
        answer = client.post(address, {"version": 2, "changes": changes}, "application/json")
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid"), changes
