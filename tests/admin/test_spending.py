"""The page of spending: its sums, its filters, its files, and that it stays fast."""

import csv
import io
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.test import Client

from chat import engine
from chat.admin import spending_report
from chat.i18n import format_cost
from chat.models import Conversation, Spending
from chat.store.spending_sums import spending_over_time
from chat.times import today

from ..support.store_helpers import begin, end
from .test_prices import allow

PAGE = "/admin/nous_chat/spending/"


@pytest.fixture
def spent(people: Any, room: Conversation) -> None:
    ada, bob, eve = people["ada"], people["bob"], people["eve"]
    for name, members in (("Team", (ada, bob)), ("Lab", (ada,))):
        Group.objects.create(name=name).user_set.set(members)
    rows = [
        (0, ada, "assistant", "openai:gpt-4o", 100, "4"),
        (1, ada, "assistant", "ollama:qwen3", 50, "0"),
        (1, bob, "helper", "openai:gpt-4o", 200, "5"),
        (2, eve, "helper", "openai:gpt-4o", 10, "0.5"),
        (2, None, "", "", 7, "0.5"),
        (40, ada, "assistant", "openai:gpt-4o", 1000, "99"),
    ]
    for ago, user, agent, model, tokens, cost in rows:
        Spending.objects.create(
            day=today() - timedelta(days=ago),
            user=user,
            conversation=room,
            agent=agent,
            model=model,
            tokens=tokens,
            cost=Decimal(cost),
            runs=1,
        )


def show(client: Client, query: str = "", **given: Any) -> dict[str, Any]:
    """What the page shows."""
    answer: Any = client.get(PAGE + query, given)
    assert answer.status_code == 200
    context: dict[str, Any] = answer.context_data
    return context | {"page": answer.content.decode()}


def table(client: Client, **given: Any) -> list[tuple[str, int, int, Decimal]]:
    """The rows of the page: what they are of, answers, tokens, and cost."""
    rows = show(client, **given)["rows"]
    return [(row.name, row.spent.runs, row.spent.tokens, row.spent.cost) for row in rows]


def read_csv(client: Client, **given: Any) -> list[list[str]]:
    answer: Any = client.get(f"{PAGE}csv/", given)
    assert answer.streaming
    assert "attachment" in answer["Content-Disposition"]
    return list(csv.reader(io.StringIO(b"".join(answer).decode("utf-8-sig"))))


@pytest.mark.parametrize(
    ("by", "sums"),
    [
        ("person", {"bob": 5, "ada": 4, "eve": 0.5, "deleted account": 0.5}),
        ("group", {"Team": 9, "Lab": 4, "no group": 1}),
        ("agent", {"Assistant": 4, "helper": 5.5, "not recorded": 0.5}),
        ("model", {"openai:gpt-4o": 9.5, "ollama:qwen3": 0, "not recorded": 0.5}),
    ],
)
def test_the_sums_of_the_last_days(admin_client: Client, spent: None, by: str, sums: dict[str, float]) -> None:
    assert {name: float(cost) for name, _, _, cost in table(admin_client, by=by)} == sums
    total = show(admin_client, by=by)["total"]
    assert (total.runs, total.tokens, total.cost) == (5, 367, 10), "a person in two groups is in the total once"


def test_filters_select_and_links_lead_on(admin_client: Client, spent: None) -> None:
    def costs(**given: Any) -> list[float]:
        return [float(cost) for *_, cost in table(admin_client, **given)]

    first = (today() - timedelta(days=40)).isoformat()
    assert costs(first=first) == [103, 5, 0.5, 0.5]
    assert costs(last=(today() - timedelta(days=2)).isoformat()) == [0.5, 0.5]
    assert costs(person="ada") == [4]
    assert costs(agent="helper") == [5, 0.5]
    assert costs(model="ollama:qwen3") == [0]
    assert costs(group=Group.objects.get(name="Lab").pk) == [4]
    (row,) = show(admin_client, person="ada")["rows"]
    days = show(admin_client, f"?{row.query}")["rows"]
    assert [float(each.spent.cost) for each in days] == [4, 0]
    people = show(admin_client, f"?{days[1].query}")["rows"]
    assert [(each.name, each.spent.tokens) for each in people] == [("ada", 50)]


def test_what_is_wrong_in_the_form_is_said_and_shows_something_else(admin_client: Client, spent: None) -> None:
    wrong = {"first": "soon", "by": "colour", "person": "nobody", "group": "x", "last": "2026-99-99"}
    shown = show(admin_client, **wrong)
    assert "No user with that name" in shown["page"]
    assert len(shown["rows"]) == 4
    backwards = show(admin_client, first="2026-02-02", last="2026-01-01")["page"]
    assert "before the first one" in backwards


def test_the_files_have_everything_and_no_formulas(admin_client: Client, people: Any, spent: None) -> None:
    Spending.objects.filter(model="ollama:qwen3").update(model='=HYPERLINK("https://evil.example")')
    people["bob"].username = "+1;cmd"
    people["bob"].save()
    sums = read_csv(admin_client, by="person")
    assert sums[0] == ["Person", "Answers", "Tokens", "Cost", "Currency"]
    assert sums[1] == ["'+1;cmd", "1", "200", "5.000000", "USD"]
    assert len(sums) == 5
    details = read_csv(admin_client, details="1")
    assert details[0][:4] == ["Day", "Person", "Agent", "Model"]
    assert len(details) == 6
    assert [row[0] for row in details[1:]] == sorted(row[0] for row in details[1:])
    assert [row[3] for row in details if "HYPERLINK" in row[3]] == ['\'=HYPERLINK("https://evil.example")']
    assert sum(Decimal(row[6]) for row in details[1:]) == 10
    assert len(read_csv(admin_client, details="1", person="ada")) == 3


def test_it_needs_the_permission_to_view_spending(people: Any, spent: None) -> None:
    for permission, status in (("view_run", 403), ("view_spending", 200)):
        client = allow(people["ada"], permission)
        for page in ("", "csv/", "rows/"):
            assert client.get(PAGE + page).status_code == status, page


@pytest.mark.parametrize("by", ["person", "group", "agent", "model", "day"])
def test_it_takes_few_statements_however_much_there_is(
    admin_client: Client, spent: None, people: Any, by: str, django_assert_max_num_queries: Any
) -> None:
    for number in range(30):
        user = type(people["ada"]).objects.create(username=f"u{number}")
        day = today() - timedelta(days=number)
        Spending.objects.create(day=day, user=user, agent=f"a{number}", model=f"m{number}", tokens=1, cost=1)
    with django_assert_max_num_queries(10):
        assert admin_client.get(PAGE, {"by": by, "first": "2020-01-01"}).status_code == 200


def test_the_chart_adds_up_to_the_total(admin_client: Client, spent: None) -> None:
    for given in ({"by": "person"}, {"by": "day"}, {"by": "model"}, {"by": "model", "first": "2025-01-01"}):
        context = show(admin_client, **given)
        assert "<svg" in context["chart"]
        report = spending_report.SpendingForm(given).report()
        months = "first" in given
        over_time = spending_over_time(report.chosen, report.by)
        chart = spending_report.make_chart(report, over_time, context["total"], months)
        drawn = sum(value or 0 for series in chart.series for value in series.values)
        assert drawn == pytest.approx(float(context["total"].cost)), given


def test_runs_are_added_by_agent_and_model(people: Any, room: Conversation) -> None:
    usage = engine.Usage(10, 5, 15)
    for model in ("openai:gpt-4o", "openai:gpt-4o", "anthropic:claude-haiku-4-5"):
        end(begin(people["ada"], room), model=model, usage=usage, charged_usage=usage)
    found = Spending.objects.values_list("agent", "model", "tokens", "runs").order_by("model")
    assert list(found) == [
        ("assistant", "anthropic:claude-haiku-4-5", 15, 1),
        ("assistant", "openai:gpt-4o", 30, 2),
    ]


@pytest.mark.parametrize(
    ("cost", "shown"),
    [("0", "0.00"), ("1234.5", "1,234.50"), ("0.1", "0.10"), ("0.04", "0.040"), ("0.0000241", "0.000024")],
)
def test_small_costs_have_as_many_digits_as_they_need(
    admin_client: Client, people: Any, room: Conversation, cost: str, shown: str
) -> None:
    assert format_cost(Decimal(cost), "USD") == f"{shown} USD"
    Spending.objects.create(day=today(), user=people["ada"], conversation=room, tokens=1, runs=1, cost=Decimal(cost))
    page = show(admin_client)["page"]
    assert page.count(f"{shown} USD</td>") == 1
    assert (f"{shown} USD</title>" in page) == (cost != "0"), "the bar of the chart"
    if cost == "0.0000241":
        assert ">0.000012</text>" in page, "the axis"
