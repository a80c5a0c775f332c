import json
import re
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from chat.engine import Limits, ProviderError

from .responses import ERRORS


def refused(status: int, body: object = b"", **headers: str) -> ProviderError:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return ERRORS.status(status, {name.replace("_", "-"): value for name, value in headers.items()}, raw)


@pytest.mark.parametrize("body", [
    {"error": {"message": "No such luck", "type": "invalid_request_error", "param": None, "code": None}},
    {"error": {"message": "No such luck", "code": 400}},
    {"type": "error", "error": {"type": "invalid_request_error", "message": "No such luck"}, "request_id": "r"},
    {"error": {"code": 400, "message": "No such luck", "status": "INVALID_ARGUMENT", "details": [{"@type": "x"}, 7]}},
    [{"error": {"code": 400, "message": "No such luck"}}],
    {"detail": "No such luck"},
    {"detail": [{"loc": ["body", "model"], "msg": "No such luck", "type": "value_error"}]},
    {"code": "invalid-argument", "error": "No such luck"},
    {"error": "No such luck"},
    {"object": "error", "message": "No such luck", "type": "BadRequestError", "code": 400},
    {"object": "error", "message": {"detail": [{"loc": ["body", "x"], "msg": "No such luck"}]}, "code": None},
    "No such luck",
    b"No such luck",
])  # fmt: skip
def test_every_shape_of_error_body_is_understood(body: object) -> None:
    error = refused(400, body)
    assert (error.code, error.status, error.provider) == ("bad_request", 400, "openai")
    assert error.detail.startswith("openai refused the request: ")
    assert error.detail.endswith("No such luck.")


def test_the_error_of_the_server_behind_a_router_is_quoted() -> None:
    error = refused(429, {"error": {"message": "Provider error", "code": 429, "metadata": {"raw": "busy upstream"}}})
    assert "Provider error (busy upstream)" in error.detail


def test_empty_bodies_and_web_pages_have_details() -> None:
    assert "status 500" in refused(500).detail
    assert refused(502, b"<html><head><title>502 Bad Gateway</title>").detail == ("openai failed: 502 Bad Gateway.")
    lost = refused(404, b"<!DOCTYPE html><html>...")
    assert lost.code == "bad_response"
    assert "https://api.example/v1" in lost.detail
    assert refused(308, b"", location="https://elsewhere/v1").code == "bad_response"


@pytest.mark.parametrize(("status", "message", "code"), [
    (401, "Unauthorized", "authentication"),
    (403, "Country not supported", "authentication"),
    (400, "API key not valid. Please pass a valid API key.", "authentication"),
    (400, "Incorrect API key provided.", "authentication"),
    (404, "The model `x` does not exist or you do not have access to it.", "model_not_found"),
    (400, "x/y is not a valid model ID", "model_not_found"),
    (400, "Model Not Exist", "model_not_found"),
    (404, "Invalid URL (POST /chat/completions)", "bad_request"),
    (429, "Slow down", "rate_limited"),
    (503, "Try later", "overloaded"),
    (529, "Overloaded", "overloaded"),
    (500, "The server is overloaded", "overloaded"),
    (500, "Oops", "server_error"),
    (502, "Oops", "server_error"),
    (408, "Request timeout", "server_error"),
    (499, "The operation was cancelled.", "server_error"),
    (400, "Your input exceeds the context window of this model.", "context_length"),
    (400, "This model's maximum context length is 8192 tokens.", "context_length"),
    (400, "prompt too long; exceeded max context length by 9 tokens", "context_length"),
    (400, "prompt is too long: 210000 tokens > 200000 maximum", "context_length"),
    (413, "Request too large", "context_length"),
    (400, "Unsupported parameter: 'max_tokens'", "bad_request"),
    (402, "Insufficient Balance", "bad_request"),
])  # fmt: skip
def test_the_status_or_the_words_decide_the_code(status: int, message: str, code: str) -> None:
    error = refused(status, {"error": {"message": message}})
    assert error.code == code
    assert message.rstrip(".") in error.detail


@pytest.mark.parametrize(("error", "code"), [
    ({"error": {"code": "context_length_exceeded", "message": "?"}}, "context_length"),
    ({"error": {"type": "overloaded_error", "message": "Overloaded"}}, "overloaded"),
    ({"error": {"type": "invalid_request_error", "message": "?"}}, "bad_request"),
    ({"error": {"message": "?", "code": 429}}, "rate_limited"),
    ({"error": {"message": "?", "status_code": 400}}, "bad_request"),
    ({"error": {"message": "?", "code": "9" * 5000}}, "server_error"),
    ({"error": {"message": "?", "code": "\N{SUPERSCRIPT TWO}"}}, "server_error"),
    ({"error": {"message": "Rate limit reached"}}, "rate_limited"),
    ({"error": {"message": "failed to decode"}}, "server_error"),
    ("", "server_error"),
    (7, "server_error"),
])  # fmt: skip
def test_the_words_of_an_error_inside_a_stream_decide_the_code(error: Any, code: str) -> None:
    assert ERRORS.in_stream(error).code == code


@pytest.mark.parametrize(("headers", "seconds"), [
    ({"retry_after": "7"}, 7),
    ({"retry_after": "0"}, 0),
    ({"retry_after": "1", "retry_after_ms": "0"}, 1),
    ({"retry_after": "2", "retry_after_ms": "1500"}, 1.5),
    ({"retry_after": "soon"}, None),
    ({"retry_after": "-1"}, None),
    ({"retry_after": "nan"}, None),
    ({"retry_after": "Infinity"}, None),
    ({"retry_after": "1e400"}, None),
    ({"retry_after": "30, 30"}, None),
    ({"retry_after": "604801"}, None),
    ({"retry_after": "Thu, 01 Jan 2099 00:00:00 GMT"}, None),
    ({"retry_after": "Thu, 01 Jan 2026 00:00:00 +99999999999999"}, None),
    ({"retry_after": "Mon, 01 Jan 0001 00:00:00 +2359"}, 0),
    ({}, None),
])  # fmt: skip
def test_retry_after_is_read_from_the_headers(headers: dict[str, str], seconds: float | None) -> None:
    assert refused(429, **headers).retry_after == seconds


def test_retry_after_may_be_a_date_or_come_in_the_body() -> None:
    later = format_datetime(datetime.now(UTC) + timedelta(seconds=100), usegmt=True)
    assert 90 < (refused(429, retry_after=later).retry_after or 0) <= 100
    details = [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "48s"}]
    assert refused(429, {"error": {"code": 429, "message": "Quota", "details": details}}).retry_after == 48


def test_a_busy_model_says_when_to_try_again_only_once() -> None:
    """`retry_after` says when, and clients show it. Without it, the sentence says so itself."""
    assert refused(429, retry_after="0.2").message == "The model is busy."
    assert refused(429).message == "The model is busy. Try again a little later."


@pytest.mark.parametrize("body", [
    b'event: error\ndata: {"error":{"message":"The model is overloaded","type":"overloaded_error"}}\n\n',
    b'data: {"detail": "The model is overloaded"}\n\ndata: [DONE]\n\n',
    b'{\n  "detail": "The model is overloaded"\n}',
    b'\xef\xbb\xbf{"message": "The model is overloaded"}',
    b"event: error\ndata: The model is overloaded\n\n",
])  # fmt: skip
def test_an_error_may_come_in_an_event_or_another_form(body: bytes) -> None:
    error = refused(500, body)
    assert (error.code, error.detail) == ("overloaded", "openai is overloaded: The model is overloaded.")


def test_retry_after_is_ignored_with_other_statuses() -> None:
    assert refused(400, retry_after="7").retry_after is None


def test_errors_that_may_pass_are_retryable() -> None:
    assert refused(429).retryable
    assert refused(503).retryable
    assert refused(500).retryable
    assert not refused(400).retryable
    assert not refused(401).retryable
    broke = refused(429, {"error": {"message": "You exceeded your current quota", "code": "insufficient_quota"}})
    assert (broke.code, broke.retryable) == ("rate_limited", False)
    assert "billing" in broke.detail


def test_the_details_mask_the_key_and_name_its_variable() -> None:
    error = refused(401, {"error": {"message": "Bad key sk-the-key-itself"}})
    assert "sk-the-key-itself" not in error.detail
    assert error.detail == "openai refused the key: Bad key ***. Check OPENAI_API_KEY."


def test_long_bodies_are_truncated() -> None:
    assert len(refused(400, b"x" * 60_000).message) < 1000


def test_deeply_nested_errors_are_handled() -> None:
    assert refused(400, b'{"error":' * 50_000).code == "bad_request"
    assert refused(400, b'{"error":' * 200 + b'"deep"' + b"}" * 200).code == "bad_request"


@pytest.mark.parametrize("status", [302, 400, 401, 402, 403, 404, 408, 413, 429, 499, 500, 502, 503, 529])
@pytest.mark.parametrize("body", [b"secret words", b"<html>secret words", b"", {"error": {"message": "secret words"}}])
def test_the_message_for_readers_names_no_internals(status: int, body: object) -> None:
    error = refused(status, body, retry_after="7", location="https://elsewhere")
    assert not re.search(r"openai|gpt-4o|https?:|API_KEY|secret|\d{3}", error.message), error.message
    assert error.message[-1] == "."


@pytest.mark.parametrize("code", ["first_token_timeout", "idle_timeout", "total_timeout"])
def test_a_deadline_is_explained_to_readers_and_to_staff(code: str) -> None:
    error = ERRORS.deadline(code, Limits(first_token=7, idle=7, total=7))
    assert "7 seconds" in error.message
    assert "openai" not in error.message
    assert re.search(r"openai:gpt-4o .* within 7 seconds\.", error.detail)
