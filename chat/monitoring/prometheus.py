"""The reports of all processes in Prometheus' text format, version 0.0.4, with the label `process` on each series."""

import secrets
from collections.abc import Iterator
from itertools import accumulate

from ..conf import conf
from ..metrics import METRICS, Series
from .reporter import Gathered

PREFIX = "nous_chat_"

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

SITE = {
    "processes": "Processes that answered.",
    "processes_silent": "Processes that announced themselves lately, but did not answer in time.",
}
"""Gauges of the whole site, which have no label."""


def is_scraper(token: str | None) -> bool:
    """Whether a bearer token is the METRICS_TOKEN. It takes as long for one that is nearly right."""
    expected = conf.METRICS_TOKEN
    return bool(expected) and token is not None and secrets.compare_digest(token.encode(), expected.encode())


def expose(gathered: Gathered) -> str:
    """The whole answer."""
    return "".join(f"{line}\n" for line in _lines(gathered))


def _lines(gathered: Gathered) -> Iterator[str]:
    by_name: dict[str, list[tuple[str, Series]]] = {name: [] for name in METRICS}
    for report in gathered.reports:
        for series in report.series:
            if _is_known(series):
                by_name[series.name].append((report.host, series))
    for name, found in by_name.items():
        yield from _head(name, METRICS[name].help, METRICS[name].kind)
        for host, series in found:
            yield from _samples(host, series)
    for name, value in {"processes": len(gathered.reports), "processes_silent": len(gathered.silent)}.items():
        yield from _head(name, SITE[name], "gauge")
        yield f"{PREFIX}{name} {value}"


def _is_known(series: Series) -> bool:
    """False if it comes from a process of another version, during an update, that measures something else."""
    metric = METRICS.get(series.name)
    lengths = len(series.labels), len(series.counts)
    return metric is not None and lengths == (len(metric.labels), len(metric.buckets) + bool(metric.buckets))


def _head(name: str, explanation: str, kind: str) -> Iterator[str]:
    yield f"# HELP {PREFIX}{name} {explanation}"
    yield f"# TYPE {PREFIX}{name} {kind}"


def _samples(host: str, series: Series) -> Iterator[str]:
    metric, name = METRICS[series.name], f"{PREFIX}{series.name}"
    pairs = zip(("process", *metric.labels), (host, *series.labels), strict=True)
    labels = ",".join(f'{label}="{_escape(value)}"' for label, value in pairs)
    if metric.kind != "histogram":
        yield f"{name}{{{labels}}} {_number(series.value)}"
        return
    bounds = [*map(_number, metric.buckets), "+Inf"]
    *_, total = counts = list(accumulate(series.counts))
    for bound, count in zip(bounds, counts, strict=True):
        yield f'{name}_bucket{{{labels},le="{bound}"}} {count}'
    yield f"{name}_sum{{{labels}}} {_number(series.value)}"
    yield f"{name}_count{{{labels}}} {total}"


def _escape(value: str) -> str:
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(value)
