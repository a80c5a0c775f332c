"""The forms that a response body may have, whatever its content type says."""

import logging
import tracemalloc

import pytest

from chat.engine.providers.openai import OpenAIParser
from chat.engine.providers.response_decoder import Body

from .responses import FAILURES, STOP, delta, play, sse


def test_blank_lines_and_a_mark_may_come_before_the_first_event() -> None:
    assert play([b"\xef\xbb\xbf\r\n\r\n" + sse(delta(content="a"), STOP)]).text == "a"
    assert play([b"\n" * 5000 + sse(delta(content="a"), STOP)]).text == "a"


def test_json_may_begin_with_blanks() -> None:
    assert play([b'\n  \n {"choices": [{"message": {"content": "a"}}]}']).text == "a"


@pytest.mark.parametrize("body", [b"<html>", b"\n<!DOCTYPE html>", b"<?xml version='1.0'?>"])
def test_a_web_page_is_no_answer(body: bytes) -> None:
    played = play([body])
    assert played.code == "bad_response"
    assert "a web page" in str(played.message)


@pytest.mark.parametrize("body", [b"", b"\n\n", b": only\n\n: comments\n\n", b"Hello there", b"data: {}"[:5]])
def test_a_body_without_an_answer_is_no_answer(body: bytes) -> None:
    assert play([body]).code == "bad_response"


def test_an_endless_body_is_refused_while_memory_stays_small() -> None:
    tracemalloc.start()
    for start in (b"x", b"data: x", b'{"a": "x'):
        body = Body(OpenAIParser(), FAILURES)
        body.take(start)
        for _ in range(2000):  # 128 MB
            if body.done:
                break
            body.take(b"x" * 65536)
        assert body.failure is not None
        assert body.failure.code == "bad_response"
    assert tracemalloc.get_traced_memory()[1] < 64 * 1024 * 1024
    tracemalloc.stop()


def test_raw_events_are_logged_at_debug_without_the_key(caplog: pytest.LogCaptureFixture) -> None:
    body = sse(delta(content="sk-the-key-itself"), STOP)
    play([body])
    assert not caplog.records
    with caplog.at_level(logging.DEBUG, "nous_chat.engine"):
        play([body])
    assert "finish_reason" in caplog.text
    assert "sk-the-key-itself" not in caplog.text


def test_so_is_an_answer_that_came_whole(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "nous_chat.engine"):
        play([b'{"choices": [{"message": {"content": "sk-the-key-itself"}}]}'])
    assert 'whole: {"choices"' in caplog.text
    assert "sk-the-key-itself" not in caplog.text
