"""The text that Prometheus reads, and the labels that may not grow without bounds."""

from typing import Any

import pytest
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from chat import agents, checks, metrics
from chat.metrics import METRICS, Series
from chat.monitoring.prometheus import expose, is_scraper
from chat.monitoring.reporter import Gathered
from chat.monitoring.reports import Report


@pytest.fixture(autouse=True)
def nothing_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "_counted", {name: type(c)() for name, c in metrics._counted.items()})
    monkeypatch.setattr(metrics, "_observed", {name: {} for name in metrics._observed})


def report(host: str, *series: Series) -> Report:
    return Report(host=host, at=0, draining=False, series=series)


def parse(*reports: Report) -> dict[str, Metric]:
    text = expose(Gathered(list(reports), ["gone"]))
    return {family.name: family for family in text_string_to_metric_families(text)}


def test_every_metric_is_there_with_its_type_and_help() -> None:
    families = parse()
    for name, metric in METRICS.items():
        family = families[f"nous_chat_{name.removesuffix('_total')}"]
        assert (family.type, family.documentation) == (metric.kind, metric.help)
    assert [sample.value for sample in families["nous_chat_processes_silent"].samples] == [1]


def test_a_histogram_adds_up() -> None:
    for seconds in (0.004, 0.005, 0.3, 99):
        metrics.observe("delta_lag_seconds", seconds)
    samples = parse(report("one", *metrics.series()))["nous_chat_delta_lag_seconds"].samples
    buckets = {s.labels["le"]: s.value for s in samples if s.name.endswith("_bucket")}
    assert (buckets["0.005"], buckets["0.25"], buckets["0.5"], buckets["10"], buckets["+Inf"]) == (2, 2, 3, 3, 4)
    assert [s.value for s in samples if s.name.endswith("_count")] == [4]
    assert [s.value for s in samples if s.name.endswith("_sum")] == [pytest.approx(99.309)]


def test_labels_are_escaped() -> None:
    strange = 'a"b\\c\nd'
    (sample,) = parse(report(strange, Series("sockets", ("inbox",), 3)))["nous_chat_sockets"].samples
    assert sample.labels == {"process": strange, "kind": "inbox"}


def test_what_a_process_of_another_version_reports_is_left_out() -> None:
    families = parse(
        report("one", Series("unheard_of", (), 1), Series("sockets", (), 1), Series("queue_seconds", (), 1))
    )
    assert not families["nous_chat_sockets"].samples
    assert not families["nous_chat_queue_seconds"].samples
    assert "nous_chat_unheard_of" not in families


def test_series_of_one_metric_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A site's agent can end with any error code."""
    monkeypatch.setattr(metrics, "MAX_SERIES", 3)
    for code in ("a", "b", "c", "d", "e", "a"):
        metrics.count("run_errors_total", 1, code, "model", "agent")
    found = {series.labels[0]: series.value for series in metrics.series() if series.name == "run_errors_total"}
    assert found == {"a": 2, "b": 1, "c": 1, "other": 2}


def test_labels_of_runs_come_from_the_settings(settings: Any) -> None:
    settings.NOUS_CHAT = {"AGENTS": {"a": {"model": "demo:tour"}, "b": {"model": "demo:table"}}}
    assert agents.labels("a", "demo:tour") == ("demo:tour", "a")
    assert agents.labels("b") == ("demo:table", "b")
    assert agents.labels("removed", "openai:gone") == ("other", "other")


def test_a_counter_is_read_as_the_sum_of_its_labels() -> None:
    metrics.count("runs_total", 1, "completed", "m", "a")
    metrics.count("runs_total", 2, "failed", "m", "a")
    assert metrics.read()["runs_total"] == 3
    assert metrics.read()["syncs_total"] == 0


RIGHT = "x" * 40


@pytest.mark.parametrize(
    ("setting", "sent", "allowed"),
    [
        (RIGHT, RIGHT, True),
        (RIGHT, RIGHT[:-1], False),
        (RIGHT, "ü" * 40, False),
        (RIGHT, None, False),
        ("", "", False),
        ("", None, False),
    ],
)
def test_a_token_has_to_be_the_whole_one(settings: Any, setting: str, sent: str | None, allowed: bool) -> None:
    settings.NOUS_CHAT = {"METRICS_TOKEN": setting}
    assert is_scraper(sent) is allowed


def test_the_check_warns_of_a_short_token(settings: Any) -> None:
    for token, found in (("", []), ("x" * 31, ["nous_chat.W021"]), ("x" * 32, [])):
        settings.NOUS_CHAT = {"METRICS_TOKEN": token}
        assert [problem.id for problem in checks.check_metrics_token()] == found
