"""Prices: which one counts, that the shipped table can be read, and that a run keeps what it cost."""

from collections import Counter
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest

from chat import conf, engine
from chat.engine.providers.vendors import VENDORS
from chat.models import Conversation, Price, Run
from chat.store import cached, price_table, pricing
from chat.times import today

from ..support.store_helpers import begin, end

USAGE = engine.Usage(1_000_000, 100_000, 1_100_000)


def found(model: str) -> tuple[Decimal, str] | None:
    price = pricing.find_price(model)
    return None if price is None else (price.input, price.source)


def add(model: str, amount: str, days_ago: int = 0) -> Price:
    since = today() - timedelta(days=days_ago)
    return Price.objects.create(model=model, valid_from=since, input=Decimal(amount), output=1)


def test_the_shipped_table_prices_the_models_that_are_chosen_by_default() -> None:
    sold = {f"{name}:{vendor.default_model}" for name, vendor in VENDORS.items() if vendor.default_model}
    assert {model for model in sold if not pricing.has_price(model)} == {"openrouter:openrouter/auto"}


def test_no_price_of_the_shipped_table_is_ambiguous_or_absurd() -> None:
    for model, prices in price_table.shipped().items():
        assert max(Counter(since for since, _ in prices).values()) == 1, model
        for _, price in prices:
            assert 0 <= price.input <= price.output * 10 <= 10_000, model
            assert price.cached is None or price.cached <= price.input, model


def test_a_shipped_price_changes_on_its_day() -> None:
    prices = price_table.shipped()["gemini:gemini-3.8-flash"]
    dated = [price_table.price_on(day, prices) for day in (date(2026, 12, 31), date(2027, 1, 1))]
    assert [each and each[1].input for each in dated] == [Decimal("0.75"), Decimal("1.5")]


def test_the_admin_counts_more_than_settings_and_these_more_than_the_shipped_table(db: None, settings: Any) -> None:
    assert found("openai:gpt-4o") == (Decimal("2.5"), "shipped")
    assert found("openai:gpt-4o-2099-01-01") == (Decimal("2.5"), "shipped"), "a snapshot costs what its model does"
    settings.NOUS_CHAT = {"PRICES": {"openai:gpt-4o": {"input": 2, "output": 3}}}
    assert found("openai:gpt-4o-2099-01-01") == (Decimal(2), "settings")
    row = add("openai:gpt-4o", "1")
    assert found("openai:gpt-4o-2099-01-01") == (Decimal(1), "admin")
    row.delete()
    assert found("openai:gpt-4o") == (Decimal(2), "settings")
    assert found("custom:unknown") is None


def test_a_price_of_the_admin_holds_from_its_day_until_the_next_one(db: None) -> None:
    add("custom:told", "1", days_ago=9)
    add("custom:told", "2", days_ago=0)
    add("custom:told", "3", days_ago=-1)
    assert found("custom:told") == (Decimal(2), "admin")


def test_dollars_are_not_taken_for_another_currency(settings: Any, db: None) -> None:
    settings.NOUS_CHAT = {"CURRENCY": "EUR"}
    assert found("openai:gpt-4o") is None


def test_another_process_uses_a_new_price_within_seconds(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    add("custom:told", "1")
    assert found("custom:told") == (Decimal(1), "admin")
    Price.objects.update(input=2)  # as another process would: this one hears nothing of it
    assert found("custom:told") == (Decimal(1), "admin")
    monkeypatch.setattr(cached, "MAX_AGE", -1.0)
    assert found("custom:told") == (Decimal(2), "admin")


def test_looking_up_a_price_takes_no_statement_each_time(db: None, django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(1):
        for _ in range(3):
            pricing.find_price("custom:told")


@pytest.mark.parametrize(
    ("usage", "cost"),
    [
        (engine.Usage(1000, 100, 1100, cached_tokens=400), 600 * 10 + 400 * 1 + 100 * 20),
        (engine.Usage(1000, 100, None), 1000 * 10 + 100 * 20),
        # Thinking is part of the output with most vendors. With xAI only the total contains it.
        (engine.Usage(1000, 100, 1100, reasoning_tokens=60), 1000 * 10 + 100 * 20),
        (engine.Usage(1000, 100, 1160, reasoning_tokens=60), 1000 * 10 + 160 * 20),
        # With Anthropic, input does not contain what was read from the cache (400), nor what was written to it (50).
        (engine.Usage(1000, 100, 1550, cached_tokens=400), 1050 * 10 + 400 * 1 + 100 * 20),
    ],
)
def test_cached_and_reasoning_tokens_are_billed_as_vendors_bill_them(usage: engine.Usage, cost: int) -> None:
    price = conf.Price(Decimal(10), Decimal(20), Decimal(1))
    assert pricing.compute_cost(usage, price) == Decimal(cost) / 1_000_000


def test_a_run_keeps_its_cost_and_its_price_when_prices_change(people: Any, room: Conversation, settings: Any) -> None:
    settings.NOUS_CHAT = {"MODEL": "custom:told"}
    price = add("custom:told", "3")
    end(begin(people["ada"], room), model="custom:told", usage=USAGE, charged_usage=USAGE)
    price.input = Decimal(30)
    price.save()
    run = Run.objects.get()
    assert run.cost == Decimal("3.1")
    (applied,) = pricing.read_prices(run.price)
    assert (applied.model, applied.input, applied.output) == ("custom:told", Decimal(3), Decimal(1))
    assert (applied.currency, applied.source, applied.since) == ("USD", "admin", today())
    end(begin(people["ada"], room), model="custom:told", usage=USAGE, charged_usage=USAGE)
    assert set(Run.objects.values_list("cost", flat=True)) == {Decimal("3.1"), Decimal("30.1")}


def test_a_run_without_a_price_keeps_none(people: Any, room: Conversation, settings: Any) -> None:
    settings.NOUS_CHAT = {"MODEL": "custom:told"}
    end(begin(people["ada"], room), usage=USAGE, charged_usage=USAGE)
    run = Run.objects.get()
    assert (run.cost, run.price) == (None, "")


def test_prices_before_and_after_an_approval_are_both_kept() -> None:
    where: Any = {"model": "a:b", "currency": "USD", "source": "settings"}
    first, second = (pricing.AppliedPrice(Decimal(number), Decimal(number), **where) for number in (1, 2))
    lines = ""
    for price in (first, second, second):
        lines = pricing.add_price(lines, price)
    assert pricing.read_prices(lines) == [first, second]
