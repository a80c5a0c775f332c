"""The figures of runs: which bucket of a chart a run is in, and how long runs take."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from chat.admin import figures
from chat.admin.charts import Chart, Series
from chat.models import Conversation, Run

DAY, HOUR, MOMENT = timedelta(days=1), timedelta(hours=1), timedelta(microseconds=1)


@pytest.mark.parametrize(("days", "length"), [(1, HOUR), (7, DAY), (90, DAY)])
@pytest.mark.parametrize("aware", [True, False])
def test_a_run_is_in_the_hour_or_day_of_the_time_zone(
    room: Conversation, settings: Any, days: int, length: timedelta, aware: bool
) -> None:
    settings.USE_TZ, settings.TIME_ZONE = aware, "Asia/Kolkata"  # half an hour from others, and without summer time
    starts = figures._starts(days)
    assert len(starts) == (25 if days == 1 else days + 1)
    for start in (starts[0], starts[1], starts[-1]):
        for at in (start, start + length - MOMENT):
            Run.objects.create(conversation=room, status="completed", created_at=at, agent="a")
    groups = figures._read_groups(Run.objects.all(), starts, "agent")
    assert {group["bucket"]: group["runs"] for group in groups} == {0: 2, 1: 2, len(starts) - 1: 2}


def test_averages_are_in_seconds(room: Conversation) -> None:
    now = timezone.now()
    for seconds in (1.5, 3):
        times = {"started_at": now, "first_token_at": now + MOMENT * 1_000, "finished_at": now + DAY * seconds}
        Run.objects.create(conversation=room, status="completed", agent="a", **times)
    Run.objects.create(conversation=room, status="failed", agent="a", finished_at=now)
    (group,) = figures._read_groups(Run.objects.all(), figures._starts(7), "agent")
    assert group["seconds"] == pytest.approx(2.25 * 86400)
    assert group["first"] == pytest.approx(0.001, abs=0.0005)
    assert (group["runs"], group["failed"]) == (3, 1)


def test_figures_of_ended_runs_are_read_from_an_index_alone(room: Conversation) -> None:
    """And those of the others from one that holds nothing else."""
    rows = Run.objects.filter(created_at__gte=timezone.now() - 90 * DAY).order_by()
    groups = figures.group_runs(rows, figures._starts(90), "model")
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off")
            cursor.execute("DROP INDEX nous_chat_run_created")  # which is as good for an empty table
    ended, others = (groups.filter(finished_at__isnull=unfinished).explain() for unfinished in (False, True))
    assert re.search("COVERING INDEX nous_chat_run_figures|Index Only Scan using nous_chat_run_figures", ended)
    assert "nous_chat_run_unfinished" in others


def test_names_in_charts_are_text() -> None:
    """A site's agents and models may have any name."""
    chart = Chart("<i>Tokens</i>", ["<u>today</u>"], [Series("<b>model</b>", [1.5])], " <s>", 1, named=True)
    for drawn in (chart.stacked(), chart.lines()):
        assert not re.search("<[ibus]>", drawn)
        assert "<title>&lt;u&gt;today&lt;/u&gt;, &lt;b&gt;model&lt;/b&gt;: 1.50 &lt;s&gt;</title>" in drawn
