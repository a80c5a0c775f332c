"""Real recorded answers, read where they lie beside the project; skipped where they are not."""

import json
from pathlib import Path
from typing import Any

import pytest

from chat.engine import Usage

from .play import FAILURES, Played, play

RECORDINGS = Path(__file__).resolve().parents[3] / "shared" / "recordings"
CASES = {
    meta.stem: (json.loads(meta.read_text("utf-8")), meta.with_suffix(".sse"))
    for meta in sorted(RECORDINGS.rglob("*.json"))
}
STREAMS = [slug for slug, (meta, _) in CASES.items() if meta["wire"] == "openai" and meta["status"] == 200]
REFUSALS = [slug for slug, (meta, _) in CASES.items() if meta["wire"] == "openai" and meta["status"] != 200]

pytestmark = pytest.mark.skipif(not CASES, reason="the recordings are not here")


def check(slug: str, played: Played) -> None:
    expected = CASES[slug][0]["expected"]
    assert played.text == expected["text"]
    assert played.thinking == expected["thinking"]
    assert [(c.id, c.name, c.arguments) for c in played.calls] == [
        (c["id"], c["name"], c["arguments"]) for c in expected["tool_calls"]
    ]
    assert played.finish_reason == expected["finish_reason"]
    assert counts(played.usage) == counts(expected["usage"])
    assert played.refusal == (expected.get("refusal") or "")
    assert (played.code is not None) == (expected["error"] is not None)
    if expected["error"]:
        assert expected["error"]["error"]["message"] in str(played.message)


def counts(usage: Usage | dict[str, Any] | None) -> list[Any] | None:
    names = ("input_tokens", "output_tokens", "total_tokens")
    if usage is None:
        return None
    return [usage[name] if isinstance(usage, dict) else getattr(usage, name) for name in names]


@pytest.mark.parametrize("slug", STREAMS)
def test_whole(slug: str) -> None:
    check(slug, play([CASES[slug][1].read_bytes()]))


@pytest.mark.parametrize("slug", STREAMS)
def test_byte_by_byte(slug: str) -> None:
    body = CASES[slug][1].read_bytes()
    check(slug, play(body[i : i + 1] for i in range(len(body))))


@pytest.mark.parametrize("slug", STREAMS)
def test_cut_in_two_anywhere(slug: str) -> None:
    """At every byte of short bodies, at some two hundred places of long ones."""
    body = CASES[slug][1].read_bytes()
    step = 1 if len(body) <= 2000 else len(body) // 200 * 2 + 1
    whole = play([body])
    for place in range(1, len(body), step):
        assert play([body[:place], body[place:]]) == whole


@pytest.mark.parametrize("slug", STREAMS)
def test_broken_off_anywhere_it_ends_in_an_error_or_whole(slug: str) -> None:
    """Never in a shorter text that is called complete."""
    body = CASES[slug][1].read_bytes()
    whole = play([body])
    for place in range(0, len(body), max(1, len(body) // 100)):
        played = play([body[:place]])
        assert whole.text.startswith(played.text)
        assert played.code is not None or (played.text, played.thinking) == (whole.text, whole.thinking)


@pytest.mark.parametrize("slug", REFUSALS)
def test_refused(slug: str) -> None:
    meta, body = CASES[slug]
    error = FAILURES.status(meta["status"], meta["headers"] or {}, body.read_bytes())
    assert error.status == meta["status"]
    assert meta["expected"]["error"]["message"] in error.message
    wanted = next(code for word, code in WANTED.items() if word in slug)
    assert error.code == wanted
    assert error.retry_after == (1 if "retry-after" in slug else None)


WANTED = {
    "404-deployment": "model_not_found",
    "404-model": "model_not_found",
    "429": "rate_limited",
    "context": "context_length",
    "401": "authentication",
    "xai-400": "authentication",
    "400": "bad_request",
}


def test_there_are_as_many_as_there_were() -> None:
    assert len(STREAMS) >= 69
    assert len(REFUSALS) >= 13
