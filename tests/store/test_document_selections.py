"""Messages about a selected part of a document, and the changes that agents propose then."""

import uuid
from typing import Any

import pytest
from django.utils import timezone

from chat import store
from chat.documents.changesets import ChangeSet, units
from chat.models import Conversation, DocumentProposal, Message
from chat.protocol import commands, objects
from chat.store.document_proposals import MAX_PROPOSALS
from chat.store.document_selections import MAX_SELECTED_CHARS

from ..support.store_helpers import HOST, begin, end, post, refused

pytestmark = pytest.mark.django_db


@pytest.fixture
def document(people: Any, room: Conversation) -> objects.Document:
    return store.create_document(people["ada"].pk, room.pk, store.NewDocument('The "Plan"', text="one 😀\n```\ntwo"))


def select(document: objects.Document, start: int, stop: int, version: int = 1) -> commands.Selection:
    return commands.Selection(document.id, version, start, stop)


def prompt_of(started: store.StartedRun) -> str:
    return started.prompt[-1].text


def start(posted: store.Posted) -> store.StartedRun:
    assert posted.start is not None
    started = store.start_run(posted.start, HOST)
    assert started is not None
    return started


def run_of(started: store.StartedRun) -> uuid.UUID:
    assert started.message.run is not None
    return started.message.run.id


def test_a_model_is_shown_what_is_selected(people: Any, room: Conversation, document: objects.Document) -> None:
    posted = post(people["ada"], room, "Shorter, please", selection=select(document, 4, 12))
    shown = posted.message.selection
    assert shown is not None
    assert (shown.document, shown.version, shown.start, shown.end) == (document.id, 1, 4, 12)
    assert (shown.title, shown.text) == ('The "Plan"', "😀\n```\nt")
    started = start(posted)
    assert prompt_of(started) == (
        f'Selected in the document "The \\"Plan\\"" ({document.id}):\n````\n😀\n```\nt\n````\n\nShorter, please'
    )
    assert store.find_selection(run_of(started)) == shown


def test_a_selection_is_quoted_as_it_was_at_its_version(
    people: Any, room: Conversation, document: objects.Document
) -> None:
    ada = people["ada"]
    store.push_changes(ada.pk, room.pk, document.id, 1, ChangeSet.parse([[0, "zero "], 14]), None)
    posted = post(ada, room, selection=select(document, 0, 3))
    assert posted.message.selection is not None
    assert posted.message.selection.text == "one"


def test_of_a_long_selection_the_beginning_is_quoted(people: Any, room: Conversation) -> None:
    text = "😀" * (MAX_SELECTED_CHARS + 5)
    long = store.create_document(people["ada"].pk, room.pk, store.NewDocument("Long", text=text))
    posted = post(people["ada"], room, selection=select(long, 0, units(text)))
    assert posted.message.selection is not None
    assert posted.message.selection.text == "😀" * MAX_SELECTED_CHARS
    assert f"(Cut: {units(text):,} characters are selected.)" in prompt_of(start(posted))


def test_a_selection_that_does_not_exist_is_refused(
    people: Any, room: Conversation, document: objects.Document
) -> None:
    ada = people["ada"]
    for selection in (select(document, 3, 3), select(document, 4, 3), select(document, 0, 15)):
        with refused("invalid"):
            post(ada, room, selection=selection)
    elsewhere = store.create_document(ada.pk, store.create_conversation(ada).id, store.NewDocument("Other", text="x"))
    for selection in (select(document, 0, 1, version=2), select(elsewhere, 0, 1)):
        with refused("not_found"):
            post(ada, room, selection=selection)
    store.delete_document(ada.pk, room.pk, document.id)
    with refused("not_found"):
        post(ada, room, selection=select(document, 0, 1))
    assert not Message.objects.exists()


def test_half_of_a_character_is_left_out(people: Any, room: Conversation, document: objects.Document) -> None:
    posted = post(people["ada"], room, selection=select(document, 5, 7))
    assert posted.message.selection is not None
    assert posted.message.selection.text == "\n"


def test_a_run_is_about_the_newest_message_of_the_person_who_asked(
    people: Any, room: Conversation, document: objects.Document
) -> None:
    ada = people["ada"]
    first = start(post(ada, room, selection=select(document, 0, 3)))
    post(people["bob"], room, "Hm", ask=False)
    assert store.find_selection(run_of(first)) is not None
    end(first)
    assert store.find_selection(run_of(begin(ada, room))) is None
    assert store.find_selection(uuid.uuid4()) is None


def test_a_column_that_holds_something_else_is_no_selection(people: Any, room: Conversation) -> None:
    post(people["ada"], room, ask=False)
    for wrong in ("x", 3, {"document": "x"}, {"document": str(uuid.uuid4()), "version": -1}):
        Message.objects.update(selection=wrong)
        (message,), _ = store.list_messages(people["ada"].pk, room.pk, None, 10)
        assert message.selection is None


def test_a_proposal_waits_until_somebody_has_decided(
    people: Any, room: Conversation, document: objects.Document, viewer: Any
) -> None:
    ada = people["ada"]
    started = begin(ada, room)
    run, changes = run_of(started), ChangeSet.parse([[3, "1"], 11])
    key = uuid.uuid4()
    proposal = store.propose_change(run, HOST, key, document.id, 1, changes)
    assert store.propose_change(run, HOST, key, document.id, 1, changes) == proposal
    assert (proposal.version, proposal.changes, proposal.run) == (1, [[3, "1"], 11], run)
    assert proposal.agent is not None
    assert proposal.agent.slug == "assistant"
    assert store.get_document(ada.pk, document.id).version == 1, "nothing has changed"
    assert store.list_proposals(viewer.pk, document.id) == [proposal]
    with refused("forbidden"):
        store.resolve_proposal(viewer.pk, room.pk, document.id, proposal.id)
    other = store.create_document(ada.pk, room.pk, store.NewDocument("Other"))
    with refused("not_found"):
        store.resolve_proposal(ada.pk, room.pk, other.id, proposal.id)
    store.resolve_proposal(people["bob"].pk, room.pk, document.id, proposal.id)
    assert store.list_proposals(viewer.pk, document.id) == []
    assert DocumentProposal.objects.filter(pk=proposal.id).exists(), "a hold could keep it"
    for _batch in store.prune(timezone.now()):
        pass
    assert not DocumentProposal.objects.exists()
    with refused("not_found"):
        store.resolve_proposal(ada.pk, room.pk, document.id, proposal.id)
    assert store.list_proposals(ada.pk, document.id) == []
    end(started)
    with refused("run_over"):
        store.propose_change(run, HOST, uuid.uuid4(), document.id, 1, changes)


def test_a_proposal_fits_its_version_and_only_so_many_wait(
    people: Any, room: Conversation, document: objects.Document
) -> None:
    ada = people["ada"]
    run, changes = run_of(begin(ada, room)), ChangeSet.parse([[3, "1"], 11])
    store.push_changes(ada.pk, room.pk, document.id, 1, ChangeSet.parse([[14]]), None)
    store.propose_change(run, HOST, uuid.uuid4(), document.id, 1, changes)
    with refused("invalid"):
        store.propose_change(run, HOST, uuid.uuid4(), document.id, 2, changes)
    with refused("not_found"):
        store.propose_change(run, HOST, uuid.uuid4(), document.id, 3, changes)
    for _ in range(MAX_PROPOSALS - 1):
        store.propose_change(run, HOST, uuid.uuid4(), document.id, 1, changes)
    with refused("conflict"):
        store.propose_change(run, HOST, uuid.uuid4(), document.id, 1, changes)
    assert DocumentProposal.objects.count() == MAX_PROPOSALS
