"""Changes that many people push at once: mapped over what came in between, stored together, refused one by one."""

import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import connection
from django.test.utils import CaptureQueriesContext

from chat import store
from chat.documents.changesets import ChangeSet
from chat.models import Conversation, Document, DocumentUpdate, Participant
from chat.protocol.errors import Refused
from chat.store import document_cache

from ..support.store_helpers import HOST, begin

pytestmark = pytest.mark.django_db(transaction=True)

TEXT = "one two three"


@pytest.fixture(autouse=True)
def empty_cache() -> Iterator[None]:
    document_cache._texts.clear()
    document_cache._chars = 0
    yield
    document_cache._texts.clear()
    document_cache._chars = 0


class Shared:
    """A document that two people write."""

    def __init__(self, people: Any, room: Conversation) -> None:
        self.ada, self.bob, self.room = people["ada"], people["bob"], room
        self.id = store.create_document(self.ada.pk, room.pk, store.NewDocument("Plan", text=TEXT)).id

    def change(self, user: Any, version: int, changes: list[Any], **fields: Any) -> store.Push:
        parsed = ChangeSet.parse(changes)
        return store.Push(user.pk, self.room.pk, self.id, version, parsed, **{"rebase": True} | fields)

    def push(self, *args: Any, **fields: Any) -> store.PushedChange | Refused:
        (outcome,) = store.push_together([self.change(*args, **fields)])
        return outcome

    @property
    def text(self) -> str:
        return store.get_document(self.ada.pk, self.id).text


@pytest.fixture
def shared(people: Any, room: Conversation) -> Shared:
    return Shared(people, room)


def codes(outcomes: Any) -> list[str]:
    return [str(each.code) if isinstance(each, Refused) else "stored" for each in outcomes]


def test_a_stale_change_is_mapped_over_what_came_in_between(shared: Shared) -> None:
    shared.push(shared.ada, 1, [[4, "1 "], 9])
    shared.push(shared.ada, 2, [[0, "zero "], 11])
    key = uuid.uuid4()
    pushed = shared.push(shared.bob, 1, [8, [5, "3"]], client_id=key)
    assert isinstance(pushed, store.PushedChange)
    assert (pushed.update.version, pushed.update.changes) == (4, [11, [5, "3"]])
    assert shared.text == "zero 1 two 3"
    again = shared.push(shared.bob, 1, [8, [5, "3"]], client_id=key)
    assert isinstance(again, store.PushedChange)
    assert (again.repeated, again.together, again.update.changes) == (True, (), [11, [5, "3"]])
    assert shared.text == "zero 1 two 3"


def test_what_others_have_deleted_meanwhile_is_deleted_once(shared: Shared) -> None:
    shared.push(shared.ada, 1, [[8], 5])
    pushed = shared.push(shared.bob, 1, [[4], 9])
    assert isinstance(pushed, store.PushedChange)
    assert (pushed.update.version, pushed.update.changes) == (3, [5])
    assert shared.text == "three"


def test_without_consent_or_memory_a_stale_change_is_refused(shared: Shared, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(document_cache, "MAX_RECENT", 3)
    for version in range(1, 5):
        shared.push(shared.ada, version, [12 + version, [0, "!"]])
    change = [[0, "zero "], 13]
    assert codes([shared.push(shared.bob, 1, change)]) == ["stale"]  # four changes ago
    assert codes([shared.push(shared.bob, 4, [[0, "a"], 16], rebase=False)]) == ["stale"]
    assert codes([shared.push(shared.bob, 9, [20])]) == ["stale"]  # a version that nobody has made
    assert codes([shared.push(shared.bob, 2, [[0, "zero "], 14])]) == ["stored"]
    assert shared.text == "zero one two three!!!!"


def test_a_huge_change_is_not_remembered(shared: Shared, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(document_cache, "MAX_RECENT_CHARS", 1000)
    shared.push(shared.ada, 1, [13, [0, "x" * 2000]])
    assert codes([shared.push(shared.bob, 1, [[0, "zero "], 13])]) == ["stale"]
    known = document_cache.find_text(shared.id)
    assert known is not None
    assert known.recent == ()


def test_changes_that_another_process_has_stored_are_mapped_over_too(shared: Shared) -> None:
    shared.push(shared.ada, 1, [[0, "a "], 13])
    known = document_cache.find_text(shared.id)
    shared.push(shared.ada, 2, [[0, "b "], 15])
    assert known is not None
    document_cache._keep(shared.id, known)  # as if another process had stored the last one
    assert codes([shared.push(shared.bob, 1, [13, [0, "!"]])]) == ["stored"]
    assert shared.text == "b a one two three!"


def test_changes_that_the_database_has_lost_are_not_mapped_over(shared: Shared) -> None:
    before = Document.objects.get(pk=shared.id)
    shared.push(shared.ada, 1, [[0, "lost "], 13])
    lost = document_cache.find_text(shared.id)
    assert lost is not None
    DocumentUpdate.objects.filter(document=shared.id, version=2).delete()
    Document.objects.filter(pk=shared.id).update(version=1, updated_at=before.updated_at)
    document_cache._texts.clear()
    shared.push(shared.ada, 1, [[0, "new "], 13])
    document_cache._keep(shared.id, lost)
    assert codes([shared.push(shared.bob, 1, [13, [0, "!"]])]) == ["stored"]
    assert shared.text == "new one two three!"


def test_a_change_that_does_not_fit_its_version_is_refused(shared: Shared) -> None:
    shared.push(shared.ada, 1, [13, [0, " 😀"]])
    for version, changes in ((1, [12]), (1, [14, [0, "x"]]), (2, [15, [0, "x"], 1])):
        assert codes([shared.push(shared.bob, version, changes)]) == ["invalid"], changes
    assert shared.text == "one two three 😀"


def test_a_mapped_change_does_not_reach_into_what_an_agent_is_writing(shared: Shared) -> None:
    run = begin(shared.ada, shared.room).message.run
    assert run is not None
    store.begin_writing(run.id, HOST, shared.id, 1, (4, 7), "t")
    assert codes([shared.push(shared.bob, 1, [5, [1], 7])]) == ["conflict"]
    pushed = shared.push(shared.bob, 1, [[0, "zero "], 13])
    assert isinstance(pushed, store.PushedChange)
    assert pushed.writing is not None
    assert (pushed.writing.start, pushed.writing.at, pushed.writing.end) == (9, 10, 13)
    store.extend_writing(store.Extension(run.id, HOST, shared.id, 1, "o"))
    store.finish_writing(store.Extension(run.id, HOST, shared.id, 2, ""))
    assert shared.text == "zero one to three"


def test_changes_that_wait_together_fail_one_by_one(shared: Shared, viewer: Any, settings: Any) -> None:
    stranger, key = get_user_model().objects.create_user("mallory"), uuid.uuid4()
    settings.NOUS_CHAT = {"MAX_DOCUMENT_CHARS": 20}
    outcomes = store.push_together(
        [
            shared.change(viewer, 1, [[0, "no"], 13]),
            shared.change(shared.ada, 1, [[0, "a "], 13], client_id=key),
            shared.change(stranger, 1, [[0, "no"], 13]),
            shared.change(shared.bob, 1, [[99]]),
            shared.change(shared.bob, 1, [13, [0, " and so on"]]),
            shared.change(shared.bob, 1, [[0, "b "], 13], rebase=False),
            shared.change(shared.bob, 1, [[0, "b "], 13]),
            shared.change(shared.ada, 1, [[0, "a "], 13], client_id=key),
        ]
    )
    expected = ["forbidden", "stored", "not_found", "invalid", "too_large", "stale", "stored", "stored"]
    assert codes(outcomes) == expected
    _, first, *_, second, repeated = outcomes
    assert isinstance(first, store.PushedChange)
    assert isinstance(repeated, store.PushedChange)
    assert [each.update.version for each in first.together] == [2, 3]
    assert (second.together, repeated.together, repeated.repeated) == ((), (), True)  # type: ignore[union-attr]
    assert shared.text == "a b one two three"
    log = store.list_updates(shared.ada.pk, shared.id, 1).updates
    assert [(each.version, each.author and each.author.name) for each in log] == [(2, "ada"), (3, "bob")]


def test_a_document_that_is_gone_refuses_all(shared: Shared) -> None:
    store.delete_document(shared.ada.pk, shared.room.pk, shared.id)
    outcomes = store.push_together([shared.change(user, 1, [13]) for user in (shared.ada, shared.bob)])
    assert codes(outcomes) == ["not_found", "not_found"]


def test_many_changes_take_as_many_statements_as_one(shared: Shared) -> None:
    users = [get_user_model().objects.create_user(f"writer{number}") for number in range(20)]
    Participant.objects.bulk_create(Participant(conversation=shared.room, user=user) for user in users)

    def count(number: int) -> int:
        version = store.get_document(shared.ada.pk, shared.id).version
        length = 13 + version - 1
        changes = [shared.change(user, version, [length, [0, "x"]], client_id=uuid.uuid4()) for user in users[:number]]
        with CaptureQueriesContext(connection) as queries:
            assert codes(store.push_together(changes)) == ["stored"] * number
        return len(queries)

    assert count(20) == count(1)


def test_texts_are_stored_as_often_as_with_single_changes(shared: Shared) -> None:
    for _ in range(3):
        version = store.get_document(shared.ada.pk, shared.id).version
        change = shared.change(shared.ada, version, [13 + version - 1, [0, "x"]])
        assert codes(store.push_together([change] * 40)) == ["stored"] * 40
    row = Document.objects.get(pk=shared.id)
    assert row.version - row.text_version < 50
    document_cache._texts.clear()
    assert shared.text == TEXT + "x" * 120


def test_a_refusal_is_in_the_language_of_its_user(shared: Shared) -> None:
    outcomes = store.push_together(
        [shared.change(user, 9, [13], language=language) for user, language in ((shared.ada, "de"), (shared.bob, ""))]
    )
    german, english = map(str, outcomes)
    assert english == "Somebody else has changed this document at the same time. Try again."
    assert german != english
