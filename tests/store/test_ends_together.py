"""Runs whose ends are written in one transaction."""

import asyncio
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.db import OperationalError, connection, transaction
from django.db.models.signals import post_save
from msgspec.structs import replace

from chat import engine, store
from chat.models import Conversation, Message, Participant, Passage, Run, Spending
from chat.store import executor
from chat.store.unit_of_work import is_lock_timeout

from ..support.store_helpers import HOST, post, run_row

pytestmark = pytest.mark.django_db

USAGE = engine.Usage(10, 5, 15)
locks_rows = pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one lock for all writers")


def create_room(user: Any) -> Conversation:
    room = Conversation.objects.get(pk=store.create_conversation(user).id)
    Conversation.objects.filter(pk=room.pk).update(answers="always")
    return room


def answer(user: Any, room: Conversation, text: str = "Apples") -> store.Finish:
    """A run that is about to end with this text."""
    started = post(user, room, run_id=uuid.uuid4()).started
    assert started is not None
    assert started.message.run is not None
    written = store.Written(1, text)
    ending = store.Ending(status="completed", written=written, charged_usage=USAGE, answer=started.message)
    return store.Finish(started.message.run.id, HOST, ending)


@pytest.fixture
def finishes(people: dict[str, Any]) -> list[store.Finish]:
    return [answer(people["ada"], create_room(people["ada"]), text) for text in ("Apples", "Pears", "Plums")]


def status_of(finish: store.Finish) -> str:
    return str(Run.objects.get(pk=finish.run).status)


def test_each_has_its_own_text_and_is_found(finishes: list[store.Finish]) -> None:
    finished = store.finish_runs(finishes)
    for finish, end in zip(finishes, finished, strict=True):
        assert isinstance(end, store.FinishedRun)
        assert end.run.id == finish.run
        row = Message.objects.get(run=finish.run)
        assert (row.text, status_of(finish)) == (finish.ending.written.text, "completed")
        assert Passage.objects.get(message=row).text == row.text.lower()
    assert Spending.objects.count() == 3


def test_each_ends_once(finishes: list[store.Finish]) -> None:
    store.finish_runs(finishes)
    others = [replace(finish, ending=replace(finish.ending, status="failed")) for finish in finishes]
    assert not any(isinstance(end, store.FinishedRun) for end in store.finish_runs(others))
    assert {status_of(finish) for finish in finishes} == {"completed"}
    assert [spent.runs for spent in Spending.objects.all()] == [1, 1, 1]


def test_spending_adds_to_what_is_stored_of_some(people: dict[str, Any]) -> None:
    ada, rooms = people["ada"], [create_room(people["ada"]) for _ in range(3)]
    store.finish_runs([answer(ada, rooms[1])])
    store.finish_runs([answer(ada, room) for room in rooms])
    spent = {row.conversation_id: (row.runs, row.tokens) for row in Spending.objects.all()}
    assert spent == {rooms[0].pk: (1, 15), rooms[1].pk: (2, 30), rooms[2].pk: (1, 15)}


def test_what_users_who_are_gone_have_spent_is_not_lost(people: dict[str, Any]) -> None:
    """Of them, no row can be found again, so each answer has its own."""
    bob, rooms = people["bob"], [create_room(people[name]) for name in ("ada", "ada")]
    Participant.objects.create(conversation=rooms[1], user=bob, role="member")
    store.finish_runs([answer(people["ada"], rooms[0]), answer(bob, rooms[1])])
    finishes = [answer(people["ada"], rooms[0]), answer(bob, rooms[1])]
    bob.delete()
    store.finish_runs(finishes)
    assert sorted(row.runs for row in Spending.objects.all()) == [1, 1, 2]


def test_agents_that_were_asked_meanwhile_are_next(people: dict[str, Any], finishes: list[store.Finish]) -> None:
    room = Conversation.objects.get(runs=finishes[1].run)
    post(people["ada"], room, "And?", mode="queue")
    first, second, third = store.finish_runs(finishes)
    assert isinstance(first, store.FinishedRun)
    assert isinstance(second, store.FinishedRun)
    assert isinstance(third, store.FinishedRun)
    assert (first.next, third.next) == (None, None)
    assert run_row(second.next).conversation == room


def test_one_that_is_another_hosts_keeps_no_other_from_its_end(finishes: list[store.Finish]) -> None:
    """All of them are tried alone."""
    Run.objects.filter(pk=finishes[1].run).update(host="elsewhere")
    outcomes = store.finish_runs(finishes)
    assert [isinstance(end, OperationalError) and is_lock_timeout(end) for end in outcomes] == [True, True, True]
    assert {status_of(finish) for finish in finishes} == {"running"}
    assert not Spending.objects.exists()
    first, second, third = end_together(finishes)
    assert isinstance(first, store.FinishedRun)
    assert isinstance(third, store.FinishedRun)
    assert second is None


def test_one_that_fails_does_so_alone(finishes: list[store.Finish]) -> None:
    room = Conversation.objects.get(runs=finishes[1].run)

    def refuse(instance: Spending, **_: Any) -> None:
        if instance.conversation_id == room.pk:
            raise ValueError("a signal handler of the site")

    post_save.connect(refuse, Spending)
    try:
        _, second, _ = end_together(finishes)
    finally:
        post_save.disconnect(refuse, Spending)
    assert isinstance(second, ValueError)
    assert [status_of(finish) for finish in finishes] == ["completed", "running", "completed"]


def test_one_that_is_gone_is_nobodys(finishes: list[store.Finish]) -> None:
    Conversation.objects.filter(runs=finishes[1].run).delete()
    first, second, third = end_together(finishes)
    assert isinstance(first, store.FinishedRun)
    assert isinstance(third, store.FinishedRun)
    assert second is None


def end_together(finishes: list[store.Finish]) -> list[Any]:
    """What became of each, with the attempts alone."""

    async def wait() -> list[Any]:
        waiting = [executor.run_together(store.finish_runs, finish) for finish in finishes]
        return await asyncio.gather(*waiting, return_exceptions=True)

    return async_to_sync(wait)()


def lock(rows: Callable[[], Any]) -> Any:
    """Lock rows with another connection, as another process would. Returns the connection."""
    other = connection.copy()
    other.set_autocommit(False)
    with other.cursor() as cursor:
        sql, params = rows().select_for_update().values("pk").query.sql_with_params()
        cursor.execute(sql, params)
    return other


@locks_rows
@pytest.mark.django_db(transaction=True)
def test_a_locked_conversation_holds_up_no_other(finishes: list[store.Finish]) -> None:
    with transaction.atomic():
        other = lock(lambda: Conversation.objects.filter(runs=finishes[1].run))
    try:
        first, second, third = store.finish_runs(finishes)
        assert isinstance(first, store.FinishedRun)
        assert isinstance(third, store.FinishedRun)
        assert isinstance(second, OperationalError)
        assert is_lock_timeout(second)
        assert [status_of(finish) for finish in finishes] == ["completed", "running", "completed"]
    finally:
        other.close()
    assert isinstance(store.finish_run(finishes[1].run, HOST, finishes[1].ending), store.FinishedRun)


@locks_rows
@pytest.mark.django_db(transaction=True)
def test_a_locked_run_holds_up_no_other(finishes: list[store.Finish], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executor, "LOCK_PAUSES", (0.01,))
    with transaction.atomic():
        other = lock(lambda: Run.objects.filter(pk=finishes[1].run))
    try:
        first, second, third = end_together(finishes)
        assert isinstance(first, store.FinishedRun)
        assert isinstance(third, store.FinishedRun)
        assert isinstance(second, OperationalError)
        assert [status_of(finish) for finish in finishes] == ["completed", "running", "completed"]
    finally:
        other.close()
