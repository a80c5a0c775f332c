"""Who may have runs recorded, and how long a recording lives: as long as what it holds, and some days at most."""

import uuid
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.db.models import QuerySet
from django.utils import timezone

from chat import store
from chat.models import Conversation, Erasure, Inspection, Message, Run, RunRecording
from chat.store.inspections import is_inspected

from ..support.store_helpers import begin, end, post, refused

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def media(settings: Any, tmp_path: Path) -> None:
    settings.MEDIA_ROOT = tmp_path


@pytest.fixture
def answered(people: Any, room: Conversation) -> Run:
    """A run that has ended."""
    end(begin(people["ada"], room))
    return Run.objects.get()


def keep(run: Run, **ago: float) -> bool:
    """Keep a recording of a run whose prompt was read so long ago."""
    return store.save_recording(run.pk, run.conversation_id, timezone.now() - timedelta(**ago), "{}")


def prune() -> None:
    list(store.prune(timezone.now()))


def delete(rows: "QuerySet[Any]", **ago: float) -> None:
    rows.update(deleted_at=timezone.now() - timedelta(**ago))


def test_only_staff_with_the_permission_start_inspections(people: Any, room: Conversation) -> None:
    with refused("forbidden"):
        store.start_inspection(people["eve"], 1)
    people["eve"].user_permissions.add(Permission.objects.get(codename="inspect_runs"))
    eve = type(people["eve"]).objects.get(pk=people["eve"].pk)
    store.start_inspection(eve, 1, conversation=room.pk)
    row = Inspection.objects.get()
    assert (row.started_by, row.conversation) == (eve, room)
    assert timedelta(minutes=59) < row.until - timezone.now() <= timedelta(hours=1)


def test_an_inspection_is_bounded_and_of_what_there_is(people: Any, room: Conversation, settings: Any) -> None:
    for hours in (0, -1, 24 * 7 + 1):
        with refused("invalid"):
            store.start_inspection(None, hours)
    with refused("not_found"):
        store.start_inspection(None, 1, agent="nobody")
    with refused("not_found"):
        store.start_inspection(None, 1, conversation=uuid.uuid4())
    delete(Conversation.objects.filter(pk=room.pk))
    with refused("not_found"):
        store.start_inspection(None, 1, conversation=room.pk)
    settings.NOUS_CHAT = {"SEAL_TRANSCRIPTS": True}
    with refused("forbidden"):
        store.start_inspection(None, 1)
    assert not Inspection.objects.exists()


def test_ending_one_counts_at_once_in_this_process(room: Conversation) -> None:
    store.start_inspection(None, 1)
    assert is_inspected(room.pk, "assistant")
    Inspection.objects.get().delete()
    assert not is_inspected(room.pk, "assistant")


def test_recordings_and_inspections_are_erased_when_they_are_old(answered: Run, settings: Any) -> None:
    settings.NOUS_CHAT = {"INSPECTION_SECONDS": 3600}
    store.start_inspection(None, 1)
    Inspection.objects.update(until=timezone.now() - timedelta(minutes=59))
    assert keep(answered, minutes=59)
    assert keep(answered, minutes=61)
    prune()
    assert RunRecording.objects.count() == 1
    assert Inspection.objects.exists()
    Inspection.objects.update(until=timezone.now() - timedelta(minutes=61))
    prune()
    assert not Inspection.objects.exists()


@pytest.mark.parametrize("kept_by", ["hold", "rule"])
def test_what_must_be_kept_is_not_erased(people: Any, answered: Run, settings: Any, kept_by: str) -> None:
    rules = [{"min_days": 30}] if kept_by == "rule" else []
    settings.NOUS_CHAT = {"INSPECTION_SECONDS": 3600, "RETENTION": rules}
    assert keep(answered, hours=2)
    hold = store.place_hold(None, "Case", user=people["ada"].pk) if kept_by == "hold" else None
    delete(Message.objects.filter(conversation=answered.conversation_id), hours=1)
    prune()
    assert RunRecording.objects.exists()
    if hold is None:
        settings.NOUS_CHAT = {"INSPECTION_SECONDS": 3600}
    else:
        store.release_hold(None, hold)
    prune()
    assert not RunRecording.objects.exists()


def test_it_is_hidden_with_a_message_that_it_may_hold_and_erased_with_it(
    people: Any, room: Conversation, answered: Run
) -> None:
    assert keep(answered, seconds=30)
    earlier = Message.objects.filter(conversation=room, role="user")
    delete(earlier, minutes=5)
    prune()
    assert store.find_recordings(answered.pk).exists(), "it was deleted before the run, so it was not sent"
    delete(earlier, seconds=10)
    assert not store.find_recordings(answered.pk).exists()
    prune()
    assert RunRecording.objects.exists(), "the deletion can be undone"
    earlier.update(deleted_at=None)
    assert store.find_recordings(answered.pk).exists()
    RunRecording.objects.update(since=timezone.now() - timedelta(hours=2))
    delete(earlier, hours=1)
    prune()
    assert not RunRecording.objects.exists()


def test_it_goes_with_its_conversation(people: Any, room: Conversation, answered: Run) -> None:
    assert keep(answered)
    store.start_inspection(None, 1, conversation=room.pk)
    store.delete_conversation(people["ada"].pk, room.pk)
    assert not store.find_recordings(answered.pk).exists()
    delete(Conversation.objects.filter(pk=room.pk), hours=1)
    prune()
    assert not Conversation.objects.exists()
    assert not RunRecording.objects.exists()
    assert not Inspection.objects.exists()


def test_it_is_not_kept_if_something_of_it_was_deleted_meanwhile(
    people: Any, room: Conversation, answered: Run
) -> None:
    question = post(people["ada"], room, "Another").message
    store.delete_message(people["ada"].pk, room.pk, question.id)
    assert not keep(answered, seconds=30)
    delete(Message.objects.filter(pk=question.id), minutes=1)
    assert keep(answered, seconds=30), "it was deleted before"


def test_it_is_not_kept_while_somebody_is_erased(django_user_model: Any, room: Conversation, answered: Run) -> None:
    store.begin_erasure(django_user_model.objects.create_user("gone"))
    assert not keep(answered)
    for receipt in store.erase_user(django_user_model.objects.get(username="gone")):
        assert receipt
    assert not keep(answered, seconds=30), "it began before the end of the erasure"
    Erasure.objects.update(finished_at=timezone.now() - timedelta(minutes=1))
    assert keep(answered, seconds=30)


def test_it_is_not_kept_of_what_is_erased(room: Conversation, answered: Run) -> None:
    gone = Run(pk=answered.pk, conversation_id=answered.conversation_id)
    room.delete()
    assert not keep(gone)
