"""Recorded answers of real providers, read from a folder next to the project; skipped if it is missing."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from chat.engine import Usage
from chat.engine.providers.anthropic import AnthropicParser
from chat.engine.providers.gemini import GeminiParser
from chat.engine.providers.ollama import OllamaParser
from chat.engine.providers.openai import OpenAIParser
from chat.engine.providers.parser import Parser

from . import responses
from .responses import ERRORS, Decoded, cut_everywhere

RECORDINGS = Path(__file__).resolve().parents[3] / "shared" / "recordings"
CASES = {
    meta.stem: (json.loads(meta.read_text("utf-8")), meta.with_suffix(".sse"))
    for meta in sorted(RECORDINGS.rglob("*.json"))
}
ANSWERS = [slug for slug, (meta, _) in CASES.items() if meta["status"] == 200]
ERROR_RESPONSES = [slug for slug, (meta, _) in CASES.items() if meta["status"] != 200]
PARSERS: dict[str, type[Parser[Any]]] = {
    "openai": OpenAIParser,
    "anthropic": AnthropicParser,
    "gemini": GeminiParser,
    "ollama": OllamaParser,
}

pytestmark = pytest.mark.skipif(not CASES, reason="the recordings are not here")


def decode(slug: str, pieces: Iterable[bytes]) -> Decoded:
    return responses.decode(pieces, PARSERS[CASES[slug][0]["wire"]])


def check(slug: str, decoded: Decoded) -> None:
    expected = CASES[slug][0]["expected"]
    text, thinking = decoded.text, decoded.thinking
    if slug == "groq-r1-think-tags":
        # The recording has the tags in the text; we split them off, with the blanks around them.
        text, thinking = f"<think>\n{thinking}</think>\n\n{text}", ""
    assert text == expected["text"]
    assert thinking == expected["thinking"]
    assert [(c.name, c.arguments) for c in decoded.calls] == [
        (c["name"], c["arguments"]) for c in expected["tool_calls"]
    ]
    for call, expected_call in zip(decoded.calls, expected["tool_calls"], strict=True):
        assert call.id == expected_call["id"] or (expected_call["id"] is None and call.id == "generated")
    # One server sends a number.
    assert decoded.finish_reason == (expected["finish_reason"] and str(expected["finish_reason"]))
    assert counts(decoded.usage) == counts(expected["usage"])
    if "refusal" in expected:
        assert decoded.refusal == expected["refusal"]
    assert bool(decoded.refusal) == (slug in WITH_REFUSAL)
    assert (decoded.code is not None) == (expected["error"] is not None)
    if expected["error"]:
        assert expected["error"]["error"]["message"] in decoded.detail


WITH_REFUSAL = {
    "openai-gpt4o-refusal",
    "anthropic-refusal-partial",
    "google-mock-prompt-blocked-safety",
    "google-mock-finish-safety",
}


def counts(usage: Usage | dict[str, Any] | None) -> list[Any] | None:
    names = ("input_tokens", "output_tokens", "total_tokens")
    if usage is None:
        return None
    return [usage[name] if isinstance(usage, dict) else getattr(usage, name) for name in names]


@pytest.mark.parametrize("slug", ANSWERS)
def test_a_recording_decodes_in_one_chunk(slug: str) -> None:
    check(slug, decode(slug, [CASES[slug][1].read_bytes()]))


@pytest.mark.parametrize("slug", ANSWERS)
def test_a_recording_decodes_byte_by_byte(slug: str) -> None:
    body = CASES[slug][1].read_bytes()
    check(slug, decode(slug, cut_everywhere(body)))


@pytest.mark.parametrize("slug", ANSWERS)
def test_a_recording_decodes_the_same_if_cut_in_two_anywhere(slug: str) -> None:
    """Short bodies are cut at every byte, long ones at about two hundred places."""
    body = CASES[slug][1].read_bytes()
    step = 1 if len(body) <= 2000 else len(body) // 200 * 2 + 1
    whole = decode(slug, [body])
    for place in range(1, len(body), step):
        assert decode(slug, [body[:place], body[place:]]) == whole


@pytest.mark.parametrize("slug", ANSWERS)
def test_a_recording_broken_off_anywhere_is_an_error_or_complete(slug: str) -> None:
    """A shorter text must not count as complete. Old models of Google are an exception: they send a finishReason with
    every chunk, so the answer may be complete after each of them."""
    meta, file = CASES[slug]
    ends_everywhere = meta.get("facts", {}).get("finish_chunks", 0) > 1
    body = file.read_bytes()
    whole = decode(slug, [body])
    for place in range(0, len(body), max(1, len(body) // 100)):
        decoded = decode(slug, [body[:place]])
        assert whole.text.startswith(decoded.text)
        if not ends_everywhere:
            assert decoded.code is not None or (decoded.text, decoded.thinking) == (whole.text, whole.thinking)


@pytest.mark.parametrize("slug", ERROR_RESPONSES)
def test_a_recorded_error_has_its_code_and_retry_after(slug: str) -> None:
    meta, body = CASES[slug]
    error = ERRORS.status(meta["status"], meta["headers"] or {}, body.read_bytes())
    assert error.status == meta["status"]
    if "html" not in slug:  # the message would be the page itself
        message = meta["expected"]["error"]["message"]
        assert " ".join(message.split()) in " ".join(error.detail.split()), "lines may be joined"
    assert error.code == next(code for word, code in EXPECTED_CODES.items() if word in slug)
    assert error.retry_after == next((seconds for word, seconds in EXPECTED_RETRY_AFTER.items() if word in slug), None)


EXPECTED_CODES = {
    "html": "bad_response",
    "404-deployment": "model_not_found",
    "404-model": "model_not_found",
    "404-unknown-model": "model_not_found",
    "429": "rate_limited",
    "529": "overloaded",
    "context": "context_length",
    "401": "authentication",
    "bad-key": "authentication",
    "xai-400": "authentication",
    "400": "bad_request",
}
EXPECTED_RETRY_AFTER = {"azure-429-retry-after": 1, "gemini-429-retryinfo": 48}


def test_no_recordings_are_missing() -> None:
    assert len(ANSWERS) >= 134
    assert len(ERROR_RESPONSES) >= 23
