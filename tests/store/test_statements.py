"""How many statements and transactions each command takes, so that none grows unnoticed.

Counted in a conversation whose message before has an answer. Not counted: the transaction itself and, on PostgreSQL,
its limits (`unit_of_work`). Each query of a prefetch counts.
"""

import uuid
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from chat import engine, store
from chat.documents.changesets import ChangeSet
from chat.models import Conversation, Message, Participant, Passage, Run, ToolCall
from chat.protocol import commands, objects
from chat.store import inspections, pricing, stored_budgets

from ..support.store_helpers import HOST, begin, end, invite_crowd, post

TRANSACTION = ("BEGIN", "COMMIT", "SAVEPOINT", "RELEASE", "SET LOCAL")
USAGE = engine.Usage(10, 5, 15)


class Case(NamedTuple):
    """What the store does for a command, and the statements and transactions that it takes."""

    work: Callable[[Any, Conversation], Callable[[], Any]]
    statements: int
    transactions: int = 1


def send(user: Any, room: Conversation) -> Callable[[], Any]:
    return lambda: post(user, room, run_id=uuid.uuid4())


def edit(user: Any, room: Conversation) -> Callable[[], Any]:
    row = Message.objects.get(conversation=room, role="user")
    return lambda: store.edit_message(user.pk, room.pk, row.pk, "Hi", False, HOST)


def delete(user: Any, room: Conversation) -> Callable[[], Any]:
    row = Message.objects.get(conversation=room, role="user")
    return lambda: store.delete_message(user.pk, room.pk, row.pk)


def restore(user: Any, room: Conversation) -> Callable[[], Any]:
    row = Message.objects.get(conversation=room, role="user")
    store.delete_message(user.pk, room.pk, row.pk)
    return lambda: store.restore_message(user.pk, room.pk, row.pk)


def retry(user: Any, room: Conversation) -> Callable[[], Any]:
    answer = Message.objects.get(conversation=room, role="assistant")
    return lambda: store.request_run(user.pk, room.pk, answer.pk, HOST)


def choose(user: Any, room: Conversation) -> Callable[[], Any]:
    answer = Message.objects.get(conversation=room, role="assistant")
    started = store.start_run(store.request_run(user.pk, room.pk, answer.pk, HOST), HOST)
    assert started is not None
    end(started)
    return lambda: store.choose_alternative(user.pk, room.pk, answer.pk)


def stop(user: Any, room: Conversation) -> Callable[[], Any]:
    started = begin(user, room)
    assert started.message.run is not None
    run_id = started.message.run.id
    return lambda: store.request_stop(user.pk, room.pk, run_id)


def decide(user: Any, room: Conversation) -> Callable[[], Any]:
    started = begin(user, room)
    assert started.message.run is not None
    Run.objects.filter(pk=started.message.run.id).update(status="awaiting_approval")
    call = ToolCall.objects.create(run_id=started.message.run.id, call_id="1", name="pay", status="awaiting_approval")
    command = commands.ToolDecide(call=call.pk, decision="approve")
    return lambda: store.decide_call(user.pk, room.pk, command, HOST)


def sync(user: Any, room: Conversation) -> Callable[[], Any]:
    run = Run.objects.get(conversation=room)

    def work() -> None:
        store.check_membership(user.pk, room.pk)
        store.get_run(room.pk, run.pk)

    return work


def push(user: Any, room: Conversation) -> Callable[[], Any]:
    document = new_document(user, room)
    change = ChangeSet.of([(3, None), (0, "!")])
    return lambda: store.push_changes(user.pk, room.pk, document.id, 1, change, uuid.uuid4())


def take_over(user: Any, room: Conversation) -> Callable[[], Any]:
    document = store.create_document(user.pk, room.pk, store.NewDocument("Plan", text="one"))
    started = begin(user, room)
    assert started.message.run is not None
    store.begin_writing(started.message.run.id, HOST, document.id, 1, (0, 3), "t")
    return lambda: store.take_over_document(user.pk, room.pk, document.id)


def new_document(user: Any, room: Conversation) -> objects.Document:
    return store.create_document(user.pk, room.pk, store.NewDocument("Plan", text="one"))


def add_document(user: Any, room: Conversation) -> Callable[[], Any]:
    new = store.NewDocument("Plan", text="one", client_id=uuid.uuid4())
    return lambda: store.create_document(user.pk, room.pk, new)


def rename(user: Any, room: Conversation) -> Callable[[], Any]:
    document = new_document(user, room)
    return lambda: store.change_document(user.pk, room.pk, document.id, store.DocumentChanges("Idea"))


def discard(user: Any, room: Conversation) -> Callable[[], Any]:
    document = new_document(user, room)
    return lambda: store.delete_document(user.pk, room.pk, document.id)


def bring_back(user: Any, room: Conversation) -> Callable[[], Any]:
    document = new_document(user, room)
    store.delete_document(user.pk, room.pk, document.id)
    return lambda: store.undelete_document(user.pk, room.pk, document.id)


def give_name(user: Any, room: Conversation) -> Callable[[], Any]:
    document = new_document(user, room)
    return lambda: store.name_version(user.pk, room.pk, document.id, 1, "First")


def go_back(user: Any, room: Conversation) -> Callable[[], Any]:
    document = new_document(user, room)

    def work() -> None:
        version, text, _ = store.read_texts(user.pk, room.pk, document.id, 0)
        store.push_changes(user.pk, room.pk, document.id, version, ChangeSet.of([(len(text), "")]), None)

    return work


def select(user: Any, room: Conversation) -> Callable[[], Any]:
    document = new_document(user, room)
    return lambda: store.check_can_select(user.pk, room.pk, document.id)


def resolve(user: Any, room: Conversation) -> Callable[[], Any]:
    document = new_document(user, room)
    run_id = begin_run(user, room)
    proposal = store.propose_change(run_id, HOST, uuid.uuid4(), document.id, 1, ChangeSet.of([(3, None), (0, "!")]))
    return lambda: store.resolve_proposal(user.pk, room.pk, document.id, proposal.id)


def begin_run(user: Any, room: Conversation) -> uuid.UUID:
    started = begin(user, room)
    assert started.message.run is not None
    return started.message.run.id


def catch_up(user: Any, room: Conversation) -> Callable[[], Any]:
    document = new_document(user, room)
    return lambda: store.sync_document(user.pk, room.pk, document.id, 0)


def load(user: Any, room: Conversation) -> Callable[[], Any]:
    return lambda: store.list_messages(user.pk, room.pk, None, 50)


def read(user: Any, room: Conversation) -> Callable[[], Any]:
    Participant.objects.filter(conversation=room, user=user).update(last_read=0)
    return lambda: store.mark_read(room.pk, {user.pk: 2})


def typing(user: Any, room: Conversation) -> Callable[[], Any]:
    return lambda: store.list_typing_audience(user.pk, room.pk, 50)


def ping(user: Any, room: Conversation) -> Callable[[], Any]:
    return lambda: store.find_state(user.pk, room.pk)


def nothing(user: Any, room: Conversation) -> Callable[[], Any]:
    return lambda: None


CASES = {
    "message.send": Case(send, 8),
    "message.edit": Case(edit, 11),
    "message.delete": Case(delete, 11),
    "message.restore": Case(restore, 9),
    "message.choose": Case(choose, 12),
    "run.start": Case(retry, 8),
    "run.stop": Case(stop, 5),
    "run.sync": Case(sync, 5, 0),
    "run.ack": Case(nothing, 0, 0),
    "tool.decide": Case(decide, 6),
    "document.create": Case(add_document, 6),
    "document.update": Case(rename, 4),
    "document.delete": Case(discard, 3),
    "document.undelete": Case(bring_back, 5),
    "document.push": Case(push, 5),
    "document.take_over": Case(take_over, 5),
    "document.name": Case(give_name, 3),
    "document.restore": Case(go_back, 7),
    "document.select": Case(select, 2, 0),
    "document.resolve": Case(resolve, 3),
    "document.sync": Case(catch_up, 4, 0),
    "history.load": Case(load, 5, 0),
    "read": Case(read, 2),
    "typing": Case(typing, 2, 0),
    "ping": Case(ping, 1, 0),
}


def count(work: Callable[[], Any]) -> tuple[int, int]:
    with CaptureQueriesContext(connection) as captured:
        work()
    found = [query["sql"] for query in captured.captured_queries]
    statements = [sql for sql in found if not sql.startswith(TRANSACTION)]
    return len(statements), sum(sql.startswith(("BEGIN", "SAVEPOINT")) for sql in found)


@pytest.fixture(autouse=True)
def kept_rows(db: None) -> None:
    """The prices, budgets, and inspections of the admin, which a process reads once every few seconds."""
    pricing.stored_prices.get()
    stored_budgets.stored_budgets.get()
    inspections.inspections.get()


@pytest.fixture
def answered(people: Any, room: Conversation) -> Conversation:
    end(begin(people["ada"], room), charged_usage=USAGE)
    return room


@pytest.mark.parametrize("command", commands.COMMANDS, ids=lambda command: str(command.__struct_config__.tag))
def test_no_command_takes_more_statements_than_it_did(command: Any, people: Any, answered: Conversation) -> None:
    case = CASES[str(command.__struct_config__.tag)]
    work = case.work(people["ada"], answered)
    assert count(work) == (case.statements, case.transactions)


def test_an_answer_takes_two_transactions(people: Any, answered: Conversation) -> None:
    started: list[store.StartedRun] = []

    def ask() -> None:
        posted = post(people["ada"], answered, run_id=uuid.uuid4())
        assert posted.started is not None
        started.append(posted.started)

    assert count(ask) == (8, 1)
    answer = started[0].message
    assert count(lambda: end(started[0], usage=USAGE, charged_usage=USAGE, answer=answer)) == (6, 1)
    assert count(lambda: store.find_listings([answered.pk])) == (1, 0)


def test_the_list_entry_of_a_crowd_takes_one_statement_more_however_many_they_are(answered: Conversation) -> None:
    invite_crowd(answered, store.CROWD + 1)
    assert count(lambda: store.find_listings([answered.pk])) == (2, 0)


def test_more_of_a_text_that_an_agent_writes_takes_few_statements(people: Any, answered: Conversation) -> None:
    document = new_document(people["ada"], answered)
    run_id = begin_run(people["ada"], answered)
    store.begin_writing(run_id, HOST, document.id, 1, (0, 3), "t")
    more = store.Extension(run_id, HOST, document.id, 1, "w")
    # One of them reads the text, which a process knows otherwise: this test's transaction is never committed.
    assert count(lambda: store.extend_together([more])) == (4, 1)


def test_answers_that_end_together_take_no_more_than_one(people: Any, answered: Conversation) -> None:
    def finish_together(number: int) -> tuple[int, int]:
        finishes = []
        for _ in range(number):
            room = Conversation.objects.get(pk=store.create_conversation(people["ada"]).id)
            Conversation.objects.filter(pk=room.pk).update(answers="always")
            started = post(people["ada"], room, run_id=uuid.uuid4()).started
            assert started is not None
            assert started.message.run is not None
            written = store.Written(1, "Hi")
            ending = store.Ending(status="completed", written=written, charged_usage=USAGE, answer=started.message)
            finishes.append(store.Finish(started.message.run.id, HOST, ending))
        return count(lambda: store.finish_runs(finishes))

    assert finish_together(1) == finish_together(3) == (7, 1)


def test_the_first_message_and_its_title_take_no_more(people: Any, answered: Conversation) -> None:
    room = Conversation.objects.get(pk=store.create_conversation(people["ada"]).id)
    Conversation.objects.filter(pk=room.pk).update(answers="always")
    assert count(lambda: post(people["ada"], room, run_id=uuid.uuid4())) == (7, 1)
    room.refresh_from_db()
    assert room.title


def test_a_title_that_a_sites_code_has_removed_is_no_obstacle(people: Any, room: Conversation) -> None:
    post(people["ada"], room, "Apples")
    Conversation.objects.update(title="", title_from="")
    post(people["ada"], room, "Pears")
    assert Passage.objects.get(conversation=room, message=None).text == "pears"
