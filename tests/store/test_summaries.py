"""Titles and summaries by a model: from what, charged to whom, and never delaying an answer."""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection, transaction
from django.db.models import Sum
from django.utils import timezone

from chat import store
from chat.models import Conversation, Message, Run, Spending
from chat.runs import postprocess

from ..support.client import InProcess
from ..support.servers import Upstream
from ..support.store_helpers import HOST, begin, end, post, somebody_waits

Scenario = Callable[..., Any]


def titled(reader: InProcess, title: str) -> Callable[[], bool]:
    return lambda: any(e["conversation"]["title"] == title for e in reader.of_type("conversation.updated"))


# --- Titles


@pytest.mark.parametrize("setting", ["agent", "custom:words@n=3"])
def test_only_the_first_exchange_gets_a_generated_title(
    scenario: Scenario, people: Any, room: Conversation, model: Any, upstream: Upstream, setting: str
) -> None:
    model("words@n=3", TITLE_MODEL=setting)

    async def talk() -> None:
        async with InProcess(people["ada"], room.pk) as ada, InProcess(people["bob"]) as list_of_bob:
            await ada.say("What is a monad?")
            await ada.hear("run.finished")
            await ada.until(titled(ada, "w0 w1 w2"))
            await list_of_bob.until(titled(list_of_bob, "w0 w1 w2"))
            asked = upstream.stats()["started"]
            await ada.say("And a comonad?")
            await ada.hear("run.finished", 2)
            await ada.say("Thanks")
            await ada.hear("run.finished", 3)
            assert upstream.stats()["started"] == asked + 2

    scenario(talk)
    room.refresh_from_db()
    assert (room.title, room.title_from) == ("w0 w1 w2", "model")
    assert len(store.search_conversations(people["ada"].pk, "w2", None).results) == 4, "three answers, and the title"


@pytest.mark.parametrize(
    "title_model", ["custom:status@code=500", "custom:garbage", "custom:whole@n=0", "nosuch:model", "demo:tour"]
)
def test_the_first_words_stay_the_title_if_the_model_fails(
    scenario: Scenario, people: Any, room: Conversation, model: Any, title_model: str, caplog: pytest.LogCaptureFixture
) -> None:
    model("words@n=3", TITLE_MODEL=title_model)

    async def talk() -> None:
        from chat.node import node

        async with InProcess(people["ada"], room.pk) as ada:
            await ada.say("What is a monad?")
            assert (await ada.hear("run.finished"))["status"] == "completed"
            while node.current().tasks.writing or node.current().tasks.optional:
                await asyncio.sleep(0.01)

    scenario(talk)
    room.refresh_from_db()
    assert (room.title, room.title_from) == ("What is a monad?", "words")


def test_the_conversation_does_not_wait_for_a_title(
    scenario: Scenario,
    people: Any,
    room: Conversation,
    model: Any,
    upstream: Upstream,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Neither the next answer nor a shutdown waits for it, and its request is closed."""
    monkeypatch.setattr(postprocess, "TIMEOUT", 3600.0)
    model("words@n=3", TITLE_MODEL="custom:silent")

    async def talk() -> None:
        async with InProcess(people["ada"], room.pk) as ada:
            await ada.say("One")
            await ada.hear("run.finished")
            await ada.say("Two")
            assert (await ada.hear("run.finished", 2))["status"] == "completed"

    scenario(talk)  # ends with a drain, and a title may take an hour
    upstream.ended()


def test_a_title_by_a_user_is_not_replaced(people: Any, room: Conversation) -> None:
    end(begin(people["ada"], room))
    exchange = store.find_first_exchange(room.pk)
    assert exchange is not None
    store.change_conversation(people["ada"].pk, room.pk, store.ConversationChanges(title="Mine"))
    assert not store.save_title(room.pk, exchange, "Its")
    assert store.find_first_exchange(room.pk) is None
    assert Conversation.objects.get().title == "Mine"


def test_only_the_first_complete_exchange_makes_a_title(people: Any, room: Conversation) -> None:
    end(begin(people["ada"], room), "failed")
    assert store.find_first_exchange(room.pk) is None
    end(begin(people["ada"], room, "Again"))
    exchange = store.find_first_exchange(room.pk)
    assert exchange is not None
    assert exchange.text == "Question: Hello\n\nAnswer: Hi"
    end(begin(people["ada"], room, "More"))
    assert store.find_first_exchange(room.pk) is None
    assert store.find_first_exchange(store.create_conversation(people["ada"]).id) is None


@pytest.mark.parametrize(("gone", "title"), [(1, ""), (2, "I am Agnes"), (3, "Agent 99"), (4, "Agent 99")])
def test_a_generated_title_is_replaced_when_its_source_is_deleted(
    people: Any, room: Conversation, gone: int, title: str
) -> None:
    end(begin(people["ada"], room, "I am Agnes"))
    exchange = store.find_first_exchange(room.pk)
    assert exchange is not None
    assert store.save_title(room.pk, exchange, "Agent 99")
    end(begin(people["ada"], room, "Another matter"))
    if gone == 1:
        delete(people["ada"], room, 3)
    delete(people["ada"], room, gone)
    assert store.find_conversation(people["ada"].pk, room.pk).title == title  # type: ignore[union-attr]
    assert bool(store.search_conversations(people["ada"].pk, "agent", None).results) == (title == "Agent 99")


def test_a_generated_title_of_a_fork_is_replaced_with_its_source(people: Any, room: Conversation) -> None:
    question = begin(people["ada"], room, "I am Agnes")
    end(question)
    exchange = store.find_first_exchange(room.pk)
    assert exchange is not None
    assert store.save_title(room.pk, exchange, "Agent 99")
    copy = store.fork_conversation(people["ada"].pk, room.pk, Message.objects.get(seq=1).pk)
    delete(people["ada"], Conversation.objects.get(pk=copy.id), 1)
    assert store.find_conversation(people["ada"].pk, copy.id).title == ""  # type: ignore[union-attr]


def test_a_title_by_a_user_survives_deletions(people: Any, room: Conversation) -> None:
    end(begin(people["ada"], room))
    exchange = store.find_first_exchange(room.pk)
    assert exchange is not None
    assert store.save_title(room.pk, exchange, "Agent 99")
    store.change_conversation(people["ada"].pk, room.pk, store.ConversationChanges(title="Mine"))
    delete(people["ada"], room, 1)
    delete(people["ada"], room, 2)
    assert Conversation.objects.get().title == "Mine"


def test_a_title_whose_source_was_deleted_meanwhile_is_dropped(people: Any, room: Conversation) -> None:
    end(begin(people["ada"], room))
    exchange = store.find_first_exchange(room.pk)
    assert exchange is not None
    delete(people["ada"], room, 2)
    assert not store.save_title(room.pk, exchange, "Agent 99")


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one writer: nobody waits for a row's lock")
@pytest.mark.usefixtures("patient_locks")
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("what", ["title", "summary"])
def test_messages_being_deleted_are_not_used(people: Any, room: Conversation, settings: Any, what: str) -> None:
    """One connection has deleted an answer without committing when the other reads the conversation."""
    settings.NOUS_CHAT = {"HISTORY_TOKENS": 200}
    end(begin(people["ada"], room), text="The password is 1234")

    def elsewhere() -> bool:
        try:
            if what == "title":
                exchange = store.find_first_exchange(room.pk)
                return exchange is not None and store.save_title(room.pk, exchange, "1234")
            old = store.find_summary_input(room.pk, "assistant", 2)
            return old is not None and "1234" in old.text and store.save_summary(room.pk, old, "1234")
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            delete(people["ada"], room, 2)
            made = pool.submit(elsewhere)
            while not made.done() and not somebody_waits():
                time.sleep(0.01)
        assert not made.result(30)


def delete(user: Any, room: Conversation, seq: int) -> None:
    store.delete_message(user.pk, room.pk, Message.objects.get(conversation=room, seq=seq).pk)


@pytest.mark.parametrize(
    ("said", "title"),
    [
        ('"Brake pads"', "Brake pads"),
        ("\n\n**Brake pads.**\nI chose this because", "Brake pads"),
        ("# Bremsbeläge", "Bremsbeläge"),
        ("„Bremsbeläge“", "Bremsbeläge"),
        ("x" * 100, "x" * 59 + "…"),
        ("", ""),
        ("\x00", "\N{REPLACEMENT CHARACTER}"),
        ('""', ""),
    ],
)
def test_a_generated_title_is_one_line_without_quotes(said: str, title: str) -> None:
    assert store.clean_title(said) == title


# --- Spending


async def everything_done() -> None:
    from chat.node import node

    while node.current().tasks.writing or node.current().tasks.optional:
        await asyncio.sleep(0.01)


def test_titles_and_summaries_are_charged_to_the_launcher(
    scenario: Scenario, people: Any, room: Conversation, model: Any
) -> None:
    fill(room, people["ada"], 10)
    price = {"input": 0, "output": 1_000_000}
    models = {"TITLE_MODEL": "custom:words@n=3", "SUMMARY_MODEL": "custom:words@n=5"}
    model("words@n=7", HISTORY_TOKENS=200, PRICES={f"custom:words@n={n}": price for n in (3, 5, 7)}, **models)

    async def talk() -> None:
        async with InProcess(people["bob"], room.pk) as bob:
            await bob.say("Hello")
            await bob.hear("run.finished")
            await everything_done()

    scenario(talk)
    room.refresh_from_db()
    assert (room.title, room.summary) == ("w0 w1 w2", "w0 w1 w2 w3 w4")
    spent = Spending.objects.filter(user=people["bob"], conversation=room)
    assert spent.count() == Spending.objects.count() == 3, "a row for each model"
    sums = spent.aggregate(runs=Sum("runs"), cost=Sum("cost"), tokens=Sum("tokens"))
    assert (sums["runs"], sums["cost"]) == (1, 7 + 3 + 5)
    run = Run.objects.get()
    assert sums["tokens"] > (run.total_tokens or 0) + 3 + 5, "what they were asked counts, too"
    assert (run.output_tokens, run.cost) == (7, Decimal(7)), "the answer took what it took"


@pytest.mark.parametrize(("tokens", "asked"), [(150, 1), (100_000, 2)])
def test_no_title_is_made_if_the_budget_is_used_up(
    scenario: Scenario,
    people: Any,
    room: Conversation,
    model: Any,
    upstream: Upstream,
    settings: Any,
    caplog: pytest.LogCaptureFixture,
    tokens: int,
    asked: int,
) -> None:
    """The budget suffices for the answer, but not for a title. The log says so in English."""
    settings.LANGUAGE_CODE = "de"
    caplog.set_level("INFO", "nous_chat.runs")
    model("words@n=100", TITLE_MODEL="custom:words@n=3", BUDGETS=[{"per": "user", "tokens": tokens}])
    before = upstream.stats()["started"]

    async def talk() -> None:
        async with InProcess(people["ada"], room.pk) as ada:
            await ada.say("What is a monad?")
            assert (await ada.hear("run.finished"))["status"] == "completed"
            await everything_done()

    scenario(talk)
    assert upstream.stats()["started"] == before + asked
    logged = [record.getMessage() for record in caplog.records if "title" in record.getMessage()]
    assert logged == ([] if asked == 2 else ["No title or summary: a budget is used up"])


def test_a_title_that_fails_halfway_is_charged(scenario: Scenario, people: Any, room: Conversation, model: Any) -> None:
    model("words@n=7", TITLE_MODEL="custom:cut@n=20")

    async def talk() -> None:
        async with InProcess(people["ada"], room.pk) as ada:
            await ada.say("What is a monad?")
            await ada.hear("run.finished")
            await everything_done()

    scenario(talk)
    assert Spending.objects.aggregate(tokens=Sum("tokens"))["tokens"] > (Run.objects.get().total_tokens or 0) + 20


# --- Summaries


def fill(room: Conversation, user: Any, number: int) -> None:
    first = room.last_seq + 1
    Message.objects.bulk_create(
        Message(conversation=room, seq=seq, role="user", author=user, text=f"Fact {seq}: " + "x" * 80)
        for seq in range(first, first + number)
    )
    room.last_seq += number
    room.save()


def test_omitted_messages_are_summarized_and_sent_with_the_next_question(
    scenario: Scenario, people: Any, room: Conversation, model: Any, upstream: Upstream
) -> None:
    fill(room, people["ada"], 20)
    model("words@n=3", HISTORY_TOKENS=200, SUMMARY_MODEL="custom:words@n=5")

    async def talk() -> None:
        from chat.node import node

        async with InProcess(people["ada"], room.pk) as ada:
            await ada.say("Hello")
            await ada.hear("run.finished")
            while node.current().tasks.writing or node.current().tasks.optional:
                await asyncio.sleep(0.01)

    scenario(talk)
    room.refresh_from_db()
    assert room.summary == "w0 w1 w2 w3 w4"
    assert 14 < room.summary_seq <= 20, "to half of what still fits"
    now = begin(people["ada"], room, "And now?")
    assert "w0 w1 w2 w3 w4" in now.prompt[0].text
    assert now.prompt[0].role == "user", "people's words get no more weight than they had"
    assert now.prompt[-1].text == "And now?"
    assert now.omitted_seq == 0, "all that fell out is in the summary"


def test_the_next_summary_includes_the_last_one(people: Any, room: Conversation, settings: Any) -> None:
    settings.NOUS_CHAT = {"HISTORY_TOKENS": 200}
    fill(room, people["ada"], 20)
    first = store.find_summary_input(room.pk, "assistant", 10)
    assert first is not None
    assert "Fact 1:" in first.text
    assert "ada: Fact" in first.text
    assert store.save_summary(room.pk, first, "They know some facts.")
    assert not store.save_summary(room.pk, first, "They know other facts."), "somebody was quicker"
    assert store.find_summary_input(room.pk, "assistant", first.until) is None
    room.refresh_from_db()
    fill(room, people["ada"], 20)
    second = store.find_summary_input(room.pk, "assistant", first.until + 10)
    assert second is not None
    assert second.text.startswith("Summary so far:\nThey know some facts.")
    assert f"Fact {first.until}:" not in second.text
    assert f"Fact {first.until + 1}:" in second.text


def test_deleted_and_edited_messages_drop_the_summary(people: Any, room: Conversation, settings: Any) -> None:
    settings.NOUS_CHAT = {"HISTORY_TOKENS": 200}
    secret = post(people["ada"], room, "The password is 1234").message
    end_of = store.start_run(Conversation.objects.get().runs.get().pk, HOST)
    assert end_of is not None
    end(end_of)
    room.refresh_from_db()
    fill(room, people["ada"], 20)
    wanted = store.find_summary_input(room.pk, "assistant", 10)
    assert wanted is not None
    assert store.save_summary(room.pk, wanted, "They have a password.")
    store.delete_message(people["ada"].pk, room.pk, secret.id)
    room.refresh_from_db()
    assert (room.summary, room.summary_seq) == ("", 0)
    after = store.find_summary_input(room.pk, "assistant", 10)
    assert after is not None
    assert "1234" not in after.text

    store.restore_message(people["ada"].pk, room.pk, secret.id)
    under_way = store.find_summary_input(room.pk, "assistant", 10)
    assert under_way is not None
    store.delete_message(people["ada"].pk, room.pk, secret.id)
    assert not store.save_summary(room.pk, under_way, "It is 1234."), "deleted while it was being made"
    Message.objects.filter(pk=secret.id).update(deleted_at=timezone.now() - timedelta(days=1))
    assert not store.save_summary(room.pk, under_way, "  "), "nothing is no summary"


def test_no_cursor_on_the_server_is_left_open(
    people: Any, room: Conversation, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pooler that lends connections for one transaction (PgBouncer) drops it between two reads."""
    settings.NOUS_CHAT = {"HISTORY_TOKENS": 200}
    Message.objects.bulk_create(
        Message(conversation=room, seq=seq, role="user", author=people["ada"], text=f"line {seq} " * 5)
        for seq in range(1, 121)
    )

    def no_cursor() -> None:
        raise AssertionError("a cursor on the server")

    monkeypatch.setattr(connection, "chunked_cursor", no_cursor)
    found = store.find_summary_input(room.pk, "assistant", 60)
    assert found is not None
    lines = [line for line in found.text.split("\n") if "line " in line]
    assert [line.split()[2] for line in lines] == [str(seq) for seq in range(1, len(lines) + 1)]
