"""When the words of a text are found for the search index: never while others wait for the database."""

import threading
import tracemalloc
import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from chat import engine, fulltext, store
from chat.models import Conversation, Message, Run
from chat.protocol import objects
from chat.store import executor

from ..support.client import InProcess
from ..support.store_helpers import HOST, begin


@pytest.fixture
def indexing_threads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the threads that found the words of a long text."""
    threads: list[str] = []
    make_index_text = fulltext.make_index_text

    def observed(text: str) -> str:
        if len(text) > 5000:
            threads.append(threading.current_thread().name)
        return make_index_text(text)

    monkeypatch.setattr(fulltext, "make_index_text", observed)
    return threads


@pytest.mark.django_db
def test_the_words_of_long_texts_are_found_outside_of_the_database_threads(
    scenario: Callable[..., Any],
    people: Any,
    room: Conversation,
    model: Callable[..., None],
    indexing_threads: list[str],
) -> None:
    model("words@n=3000,delay=0")

    async def talk() -> None:
        async with InProcess(people["ada"], room.pk) as ada:
            await ada.say("hay " * 2000 + "needle")
            finished = await ada.hear("run.finished")
            assert len(finished["message"]["text"]) > 5000
            assert len(indexing_threads) == 2, "of the message and of the answer"
            question = next(message for message in ada.messages.values() if message["role"] == "user")
            await ada.send("message.edit", message=question["id"], text="straw " * 2000 + "pin", ref="edit")
            assert (await ada.answered("edit"))["type"] == "ack"
            assert len(indexing_threads) == 3
            for command in ("message.delete", "message.restore"):
                await ada.send(command, message=question["id"], ref=command)
                assert (await ada.answered(command))["type"] == "ack"
                found = await executor.run(store.search_conversations, people["ada"].pk, "pin", None)
                assert len(found.results) == (command == "message.restore")
            answer = uuid.UUID(finished["message"]["id"])
            copy = await executor.run(store.fork_conversation, people["ada"].pk, room.pk, answer)
            found = await executor.run(store.search_conversations, people["ada"].pk, "straw", None)
            assert {result.conversation.id for result in found.results} == {room.pk, copy.id}
            assert len(indexing_threads) == 3, "what is indexed already is not folded again"

    scenario(talk)
    assert all(name.startswith("asyncio") for name in indexing_threads), indexing_threads


@pytest.mark.django_db
def test_a_text_that_awaits_an_approval_is_found_before_and_after_a_stop(people: Any, room: Conversation) -> None:
    begin(people["ada"], room)
    call = engine.ToolCall("c1", "refund", {})
    shown = objects.Call(id=uuid.uuid4(), name="refund", arguments={}, status="running", result=None)
    run = Run.objects.get()
    store.save_calls(run.id, HOST, {"c1": shown})
    ending = store.Ending(
        status="completed",
        written=store.Written(3, "a needle"),
        transcript=[engine.Message("assistant", "a needle", tool_calls=(call,))],
        awaits_approval=True,
    )
    assert store.await_approval(run.id, HOST, ending) is not None
    assert len(store.search_conversations(people["ada"].pk, "needle", None).results) == 1
    assert store.request_stop(people["ada"].pk, room.pk, run.id) is not None
    assert len(store.search_conversations(people["ada"].pk, "needle", None).results) == 1


@pytest.mark.django_db(transaction=True)
def test_the_words_of_an_interrupted_answer_are_found_before_its_transaction(
    people: Any, room: Conversation, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = begin(people["ada"], room)
    Message.objects.filter(pk=started.message.id).update(text="a needle")
    run = Run.objects.get()
    Run.objects.update(heartbeat_at=timezone.now() - timedelta(minutes=5))
    inside = []

    def observed(text: str) -> str:
        inside.append(connection.in_atomic_block)
        return fulltext.make_index_text(text)

    monkeypatch.setattr("chat.store.heartbeats.make_index_text", observed)
    assert len(store.reap_runs([run.id])) == 1
    assert inside == [False]
    assert len(store.search_conversations(people["ada"].pk, "needle", None).results) == 1


@pytest.mark.django_db
def test_the_process_that_ends_an_endless_answer_of_another_does_not_grow(people: Any, room: Conversation) -> None:
    """The longest answer, of ligatures that become 18 characters each, left by a process that was killed."""
    begin(people["ada"], room)
    run = Run.objects.get()
    Message.objects.filter(run=run).update(text="\ufdfa" * 2_000_000)
    Run.objects.update(heartbeat_at=timezone.now() - timedelta(minutes=5))
    tracemalloc.start()
    try:
        assert len(store.reap_runs([run.id])) == 1
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 64 * 1024 * 1024, "the text takes 4 MB, and is read a few times"
