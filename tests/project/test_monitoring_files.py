"""The alert rules and the Grafana dashboard in deploy/: a metric or a label that does not exist would never alert."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from chat.metrics import METRICS
from chat.monitoring.prometheus import SITE

from ..support.servers import ROOT

RULES = yaml.safe_load((ROOT / "deploy" / "prometheus" / "alerts.yaml").read_text("utf-8"))
DASHBOARD = json.loads((ROOT / "deploy" / "grafana" / "nous-chat.json").read_text("utf-8"))
ALERTS: list[dict[str, Any]] = [rule for group in RULES["groups"] for rule in group["rules"]]

SUFFIXES = {"_bucket": {"le"}, "_sum": set(), "_count": set()}
"""Of histograms, with the labels that only they have."""


def series() -> dict[str, set[str]]:
    """The labels of everything that `/chat/metrics` prints, by name."""
    found: dict[str, set[str]] = {f"nous_chat_{name}": set() for name in SITE}
    for name, metric in METRICS.items():
        labels = {"process", *metric.labels}
        for suffix, more in SUFFIXES.items() if metric.kind == "histogram" else [("", set[str]())]:
            found[f"nous_chat_{name}{suffix}"] = labels | more
    return found


def problems(expression: str) -> Iterator[str]:
    """What is wrong with an expression: unknown metrics and labels, and brackets without a partner."""
    known = series()
    without_texts = re.sub(r'"[^"]*"', '""', expression)
    metrics = re.findall(r"\bnous_chat_\w+\b", without_texts)
    if not metrics:
        yield "it names no metric"
    labels: set[str] = set()
    for metric in metrics:
        if metric not in known:
            yield f"there is no {metric}"
        labels |= known.get(metric, set())
    used = set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)\s*\"", without_texts))
    for group in re.findall(r"\bby\s*\(([^)]*)\)", without_texts):
        used |= {label.strip() for label in group.split(",")}
    yield from (f"no metric in it has the label {label}" for label in used - labels)
    for opening, closing in ("()", "[]", "{}"):
        if without_texts.count(opening) != without_texts.count(closing):
            yield f"{opening} without {closing}"


@pytest.mark.parametrize(
    ("expression", "problem"),
    [
        ("sum(nous_chat_sockets)", None),
        ("sum(nous_chat_socket)", "there is no nous_chat_socket"),
        ("nous_chat_first_token_seconds", "there is no nous_chat_first_token_seconds"),
        ('nous_chat_sockets{sort="inbox"}', "no metric in it has the label sort"),
        ("sum by (model) (nous_chat_sockets)", "no metric in it has the label model"),
        ("sum(nous_chat_sockets", "( without )"),
        ("1 > 0", "it names no metric"),
    ],
)
def test_a_wrong_expression_is_found(expression: str, problem: str | None) -> None:
    assert list(problems(expression)) == ([problem] if problem else [])


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert["alert"])
def test_an_alert_can_fire_and_says_what_to_do(alert: dict[str, Any]) -> None:
    assert list(problems(alert["expr"])) == []
    assert alert["labels"]["severity"] in ("page", "ticket")
    texts = alert["annotations"]
    assert texts["summary"]
    assert texts["description"]
    labels = set(re.findall(r"\$labels\.(\w+)", texts["summary"] + texts["description"]))
    kept = {label.strip() for group in re.findall(r"\bby\s*\(([^)]*)\)", alert["expr"]) for label in group.split(",")}
    assert labels <= kept, "the sum has lost a label that the text names"


def test_alerts_have_names_of_their_own() -> None:
    names = [alert["alert"] for alert in ALERTS]
    assert len(names) == len(set(names)) > 8


def expressions() -> list[Any]:
    panels = [(panel["title"], target["expr"]) for panel in DASHBOARD["panels"] for target in panel["targets"]]
    variables = [(each["name"], each["query"]) for each in DASHBOARD["templating"]["list"] if each["type"] == "query"]
    marks = [(each["name"], each["expr"]) for each in DASHBOARD["annotations"]["list"]]
    return [pytest.param(expression, id=title) for title, expression in [*panels, *variables, *marks]]


@pytest.mark.parametrize("expression", expressions())
def test_a_panel_has_data(expression: str) -> None:
    assert list(problems(expression)) == []


def test_panels_do_not_overlap_and_show_nearly_every_metric() -> None:
    cells: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        taken = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        assert max(x for x, _ in taken) < 24, panel["title"]
        cells |= taken
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
    text = json.dumps(DASHBOARD["panels"]) + json.dumps(DASHBOARD["annotations"])
    assert [name for name in METRICS if f"nous_chat_{name}" not in text] == []
