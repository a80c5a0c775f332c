"""Budgets: what remains, what is refused and until when, where runs end, and what is recorded."""

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.utils import timezone

from chat import checks, conf, engine, permissions, store
from chat.models import Conversation, Message, Participant, Run, Spending
from chat.protocol import objects
from chat.protocol.errors import Refused
from chat.runs.meter import Meter
from chat.store import pricing
from chat.times import today

from ..support.client import InProcess
from ..support.store_helpers import HOST, begin, end, post, reap, refused
from ..support.upstream import text

Scenario = Callable[..., Any]
PRICE = {"custom:told": {"input": 2.5, "output": 10, "cached": 1.25}}


def limit(settings: Any, *held: dict[str, Any], **others: Any) -> None:
    settings.NOUS_CHAT = {"MODEL": "custom:told", "BUDGETS": list(held), **others}


def spend(user: Any, room: Conversation, tokens: int, days_ago: int = 0, cost: str = "0") -> None:
    day = today() - timedelta(days=days_ago)
    Spending.objects.create(day=day, user=user, conversation=room, tokens=tokens, cost=Decimal(cost))


def used(tokens: int) -> dict[str, Any]:
    usage = engine.Usage(tokens - 10, 10, tokens)
    return {"usage": usage, "charged_usage": usage}


def test_usage_is_added_up_per_user_conversation_and_day(people: Any, room: Conversation) -> None:
    for user, tokens in ((people["ada"], 100), (people["ada"], 50), (people["bob"], 17)):
        end(begin(user, room), **used(tokens))
    found = {row.user_id: (row.tokens, row.runs) for row in Spending.objects.all()}
    assert found == {people["ada"].pk: (150, 2), people["bob"].pk: (17, 1)}
    Conversation.objects.all().delete()
    people["ada"].delete()
    assert Spending.objects.count() == 2, "deleting is no way to spend more"


@pytest.mark.parametrize(
    ("held", "who", "where", "refuses"),
    [
        ({"per": "user", "tokens": 100}, "ada", "room", True),
        ({"per": "user", "tokens": 100}, "ada", "elsewhere", True),
        ({"per": "user", "tokens": 100}, "bob", "room", False),
        ({"per": "user", "tokens": 101}, "ada", "room", False),
        ({"per": "conversation", "tokens": 100}, "bob", "room", True),
        ({"per": "conversation", "tokens": 100}, "ada", "elsewhere", False),
        ({"per": "site", "tokens": 100}, "bob", "elsewhere", True),
        ({"per": "user", "cost": 2}, "ada", "room", True),
        ({"per": "user", "cost": 2.01}, "ada", "room", False),
    ],
)
def test_a_budget_limits_a_user_a_conversation_or_the_site(
    people: Any, room: Conversation, settings: Any, held: dict[str, Any], who: str, where: str, refuses: bool
) -> None:
    elsewhere = Conversation.objects.get(pk=store.create_conversation(people["ada"]).id)
    Participant.objects.create(conversation=elsewhere, user=people["bob"])
    Conversation.objects.update(answers="always")
    spend(people["ada"], room, 100, cost="2")
    limit(settings, held)
    place = room if where == "room" else elsewhere
    if refuses:
        with refused("budget"):
            post(people[who], place)
        assert not Message.objects.filter(conversation=place).exists(), "nothing is stored"
    else:
        assert post(people[who], place).start is not None


@pytest.mark.parametrize(
    ("period", "days_ago", "refuses"),
    [("day", 0, True), ("day", 1, False), ("month", 40, False), ("ever", 400, True)],
)
def test_a_budget_resets_after_its_period_and_the_refusal_says_when(
    people: Any, room: Conversation, settings: Any, period: str, days_ago: int, refuses: bool
) -> None:
    spend(people["ada"], room, 100, days_ago)
    limit(settings, {"per": "user", "period": period, "tokens": 100})
    if not refuses:
        assert post(people["ada"], room).start is not None
        return
    with pytest.raises(Refused) as caught:
        post(people["ada"], room)
    if period == "ever":
        assert caught.value.retry_after is None
        assert "does not reset" in str(caught.value)
    else:
        assert caught.value.retry_after is not None
        again = timezone.localtime(timezone.now() + timedelta(seconds=caught.value.retry_after))
        midnight = again + timedelta(seconds=1)
        assert (midnight.hour, midnight.minute) == (0, 0)
        assert timedelta(0) < again - timezone.localtime() <= timedelta(days=1)
        assert "100 tokens" in str(caught.value)
        assert "ask again on" in str(caught.value)


def test_messages_that_ask_no_agent_are_posted_over_budget(people: Any, room: Conversation, settings: Any) -> None:
    Conversation.objects.filter(pk=room.pk).update(answers="mention")
    spend(people["ada"], room, 100)
    limit(settings, {"per": "user", "tokens": 100})
    assert post(people["ada"], room, "Lunch, anybody?").message.text == "Lunch, anybody?"
    with refused("budget"):
        post(people["ada"], room, "@assistant Lunch?")
    with refused("budget"):
        store.request_run(people["ada"].pk, room.pk, None, HOST)


class Generous(permissions.Permissions):
    def budgets(self, user: Any) -> Any:
        return () if user is not None and user.username == "ada" else super().budgets(user)


def test_a_site_can_give_users_different_budgets(people: Any, room: Conversation, settings: Any) -> None:
    limit(settings, {"per": "user", "tokens": 0}, PERMISSIONS=f"{__name__}.Generous")
    assert post(people["ada"], room).start is not None
    end_active(room)
    with refused("budget"):
        post(people["bob"], room)


def end_active(room: Conversation) -> None:
    Run.objects.filter(conversation=room).update(status="completed")


def test_budgets_cost_one_query_and_none_if_there_are_no_budgets(
    people: Any, room: Conversation, settings: Any, django_assert_num_queries: Any
) -> None:
    limit(settings)
    store.budgets.read_remaining(people["ada"], room)  # reads those of the admin, once every few seconds
    with django_assert_num_queries(0):
        assert store.budgets.read_remaining(people["ada"], room) == []
    for days in range(30):
        spend(people["ada"], room, 1, days)
    limit(
        settings,
        {"per": "user", "period": "ever", "tokens": 100},
        {"per": "conversation", "period": "ever", "tokens": 200},
        {"per": "site", "tokens": 300},
    )
    with django_assert_num_queries(1):
        left = store.budgets.read_remaining(people["ada"], room)
    assert [one.tokens for one in left] == [70, 170, 299]


@pytest.mark.parametrize(
    "held",
    [
        {"per": "user"},
        {"per": "team", "tokens": 1},
        {"tokens": 1},
        {"per": "user", "tokens": -1},
        {"per": "user", "token": 1},
    ],
)
def test_check_reports_an_invalid_budget(settings: Any, held: dict[str, Any]) -> None:
    limit(settings, held)
    with pytest.raises(ImproperlyConfigured, match="BUDGETS"):
        conf.read()


def test_cached_tokens_have_their_own_price(db: None, settings: Any) -> None:
    settings.NOUS_CHAT = {"PRICES": PRICE}
    price = pricing.find_price("custom:told")
    assert price is not None
    usage = engine.Usage(1_000_000, 100_000, 1_100_000, cached_tokens=400_000)
    assert pricing.compute_cost(usage, price) == Decimal("3.0")
    assert pricing.find_price("other:one", "custom:told") == price
    assert pricing.find_price("other:one") is None


def test_the_meter_counts_the_prompt_again_for_each_turn() -> None:
    failure = objects.Failure("budget", "Used up.")
    remaining = pricing.RemainingBudget(tokens=69, cost=None, failure=failure)
    meter = Meter([engine.Message("user", "x" * 64)], [remaining], None)
    assert meter.usage.total_tokens == 0, "nothing was sent yet"
    assert meter.exceeded() is None
    meter.add_output(40)
    assert meter.usage == engine.Usage(20, 10, 30)
    meter.add_tool_result(40)
    assert meter.exceeded() is failure, "20 + 10, and 20 + 10 + 10 are about to be sent"
    meter.add_output(4)
    assert meter.usage == engine.Usage(60, 11, 71)


# --- Streams


def test_a_run_ends_where_it_exceeds_a_budget(
    scenario: Scenario, people: Any, room: Conversation, model: Any, upstream: Any
) -> None:
    model("flowing@delay=2", BUDGETS=[{"per": "user", "tokens": 120}])
    aborted = upstream.stats()["aborted"]

    async def talk() -> None:
        async with InProcess(people["ada"], room.pk) as ada:
            await ada.say("Hello")
            finished = await ada.hear("run.finished")
            assert (finished["status"], finished["error"]["code"]) == ("failed", "budget")
            assert 0 < finished["error"]["retry_after"] <= 25 * 60 * 60
            kept = finished["message"]["text"]
            assert text(10_000).startswith(kept)
            assert 300 < len(kept) < 1500
            assert finished["usage"] is None
            assert finished["tokens"] == pytest.approx(len(kept) / 4, abs=60)
            await ada.say("And more?", ref="again")
            refusal = await ada.answered("again")
            assert (refusal["type"], refusal["code"]) == ("error", "budget")
            assert refusal["retry_after"] > 0

    scenario(talk)
    assert upstream.ended()["aborted"] == aborted + 1
    spent = Spending.objects.get()
    assert spent.tokens > 120
    assert spent.runs == 1


def test_text_after_the_delta_that_exceeds_a_budget_is_dropped(
    scenario: Scenario, people: Any, room: Conversation, model: Any
) -> None:
    model("words@n=5000", BUDGETS=[{"per": "user", "tokens": 120}])

    async def talk() -> None:
        async with InProcess(people["ada"], room.pk) as ada:
            await ada.say("Hello")
            finished = await ada.hear("run.finished")
            assert (finished["status"], finished["error"]["code"]) == ("failed", "budget")
            assert 300 < len(finished["message"]["text"]) < 500

    scenario(talk)


def test_a_run_whose_prompt_exceeds_the_budget_never_reaches_the_provider(
    scenario: Scenario, people: Any, room: Conversation, model: Any, upstream: Any
) -> None:
    model("words@n=5", BUDGETS=[{"per": "conversation", "tokens": 50}])
    before = upstream.stats()["started"]

    async def talk() -> None:
        async with InProcess(people["ada"], room.pk) as ada:
            await ada.say("x" * 400)
            finished = await ada.hear("run.finished")
            assert (finished["status"], finished["error"]["code"]) == ("failed", "budget")

    scenario(talk)
    assert upstream.stats()["started"] == before
    assert not Spending.objects.filter(tokens__gt=0).exists()


def test_the_providers_count_is_stored_and_charged(
    scenario: Scenario, people: Any, room: Conversation, model: Any
) -> None:
    model("words@n=30", PRICES={"custom:words@n=30": {"input": 1000, "output": 2000}})

    async def talk() -> dict[str, Any]:
        async with InProcess(people["ada"], room.pk) as ada:
            await ada.say("Hello")
            finished = await ada.hear("run.finished")
            assert finished["tokens"] is None
            return finished

    finished = scenario(talk)
    usage = finished["usage"]
    cost = Decimal(usage["input_tokens"] * 1000 + usage["output_tokens"] * 2000) / 1_000_000
    assert Decimal(finished["cost"]) == Run.objects.get().cost == cost > 0
    spent = Spending.objects.get()
    assert (spent.tokens, spent.cost, spent.user) == (usage["total_tokens"], cost, people["ada"])


def test_a_stopped_run_stores_who_stopped_it_and_an_estimate_of_its_tokens(
    scenario: Scenario, people: Any, room: Conversation, model: Any
) -> None:
    model("flowing")

    async def talk() -> None:
        async with InProcess(people["bob"], room.pk) as bob, InProcess(people["ada"], room.pk) as ada:
            await bob.say("Hello")
            run = (await ada.hear("run.started"))["run"]
            await ada.until(lambda: ada.delta_chars > 200)
            await ada.send("run.stop", run=run)
            for peer in (ada, bob):
                receipt = await peer.hear("run.finished")
                assert (receipt["status"], receipt["stopped_by"]["name"]) == ("stopped", "ada")
                assert receipt["usage"] is None
                assert receipt["tokens"] == pytest.approx(len(receipt["message"]["text"]) / 4, abs=5)
                assert receipt["message"]["run"]["tokens"] == receipt["tokens"], "a reload shows the same"

    scenario(talk)
    spent = Spending.objects.get()
    assert spent.user == people["bob"], "who asked pays, not who stopped"


def test_a_run_stopped_before_it_started_is_not_charged(people: Any, room: Conversation) -> None:
    run_id = post(people["ada"], room).start
    assert run_id is not None
    store.request_stop(people["ada"].pk, room.pk, run_id)
    assert Run.objects.get().tokens is None
    assert not Spending.objects.exists()


def test_text_by_a_dead_process_is_charged(people: Any, room: Conversation, settings: Any) -> None:
    started = begin(people["ada"], room)
    assert started.message.run is not None
    written = store.Checkpoint(started.message.run.id, started.message.id, store.Written(4, "x" * 400, ""))
    store.heartbeat(HOST, [started.message.run.id], [written])
    Run.objects.update(heartbeat_at=timezone.now() - timedelta(minutes=1))
    (reaped,) = reap()
    assert (reaped.run.status, reaped.run.tokens) == ("interrupted", 100)
    assert Spending.objects.get().tokens == 100


def test_a_run_with_an_approval_adds_up_its_parts_and_counts_once(people: Any, room: Conversation) -> None:
    started = begin(people["ada"], room)
    assert started.message.run is not None
    call = engine.ToolCall("c1", "refund", {}, "{}")
    turns = [engine.Message("assistant", "", tool_calls=(call,))]
    first = engine.Usage(100, 20, 120)
    waiting = store.Ending(
        status="completed",
        transcript=turns,
        awaits_approval=True,
        usage=first,
        charged_usage=first,
        written=store.Written(2),
    )
    from chat.protocol import objects

    row = objects.Call(id=started.message.id, name="refund", arguments={}, status="running", result=None)
    store.save_calls(started.message.run.id, HOST, {"c1": row})
    assert store.await_approval(started.message.run.id, HOST, waiting) is not None
    assert Spending.objects.get().tokens == 120
    Run.objects.update(status="running")
    end(started, "stopped", charged_usage=engine.Usage(150, 30, 180), estimated=True)
    run = Run.objects.get()
    assert (run.output_tokens, run.tokens) == (20, 50), "the count of the first part, and the estimate of both"
    spent = Spending.objects.get()
    assert (spent.tokens, spent.runs) == (300, 1)


def test_an_approval_is_refused_if_the_budget_is_used_up(
    scenario: Scenario, people: Any, room: Conversation, settings: Any
) -> None:
    settings.NOUS_CHAT = {"AGENTS": {"assistant": {"agent": "tests.sites.clerk.agent"}}}

    async def ask() -> dict[str, Any]:
        async with InProcess(people["ada"], room.pk) as ada:
            await ada.say("refund")
            state = await ada.hear("run.state")
            call: dict[str, Any] = state["message"]["calls"][0]
            assert call["status"] == "awaiting_approval"
            return call

    call = scenario(ask)
    settings.NOUS_CHAT = {
        "AGENTS": {"assistant": {"agent": "tests.sites.clerk.agent"}},
        "BUDGETS": [{"per": "user", "tokens": 0}],
    }

    async def decide() -> None:
        async with InProcess(people["ada"], room.pk) as ada:
            await ada.send("tool.decide", call=call["id"], decision="approve", ref="x")
            assert (await ada.answered("x"))["code"] == "budget"

    scenario(decide)
    assert Run.objects.get().status == "awaiting_approval", (
        "it waits on, and can be decided when there is a budget again"
    )


def test_invalid_token_counts_break_nothing(people: Any, room: Conversation, settings: Any) -> None:
    settings.NOUS_CHAT = {"MODEL": "custom:told", "PRICES": PRICE}
    for usage in (engine.Usage(-5, -5, -10), engine.Usage(2**70, 1, None), engine.Usage()):
        finished = end(begin(people["ada"], room), usage=usage, charged_usage=usage)
        assert finished is not None
        assert finished.run.status == "completed"


def test_check_reports_a_budget_in_money_without_prices(settings: Any) -> None:
    limit(settings, {"per": "user", "cost": 1})
    (problem,) = [found for found in checks.check_settings() if found.id == "nous_chat.W012"]
    assert "custom:told" in problem.msg
    limit(settings, {"per": "user", "cost": 1}, PRICES=PRICE)
    assert not [found for found in checks.check_settings() if found.id == "nous_chat.W012"]
