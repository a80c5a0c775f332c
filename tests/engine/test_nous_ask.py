"""`manage.py nous_ask` as a process."""

import contextlib
import json
import logging
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from ..support.servers import environment
from ..support.upstream import Upstream, text
from .responses import STOP, delta, sse

pytestmark = pytest.mark.site

MANAGE = Path(__file__).resolve().parents[2] / "manage.py"
KEY = "sk-the-key-of-nous-ask"


def start(provider: Upstream, *arguments: str, **environ: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-W", "error::ResourceWarning", MANAGE, "nous_ask", *arguments],
        env=environment(CUSTOM_BASE_URL=provider.url, CUSTOM_API_KEY=KEY, **environ),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=_accept_sigint,
    )


def _accept_sigint() -> None:
    """A suite that runs in the background ignores SIGINT, and child processes inherit that."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def ask(provider: Upstream, *arguments: str, **environ: str) -> tuple[int, str, str]:
    process = start(provider, *arguments, **environ)
    out, err = process.communicate(timeout=60)
    assert KEY not in out + err
    return process.returncode, out, err


def wait_until_closed(provider: Upstream, before: int) -> None:
    """Wait until the upstream has seen one more closed connection than before."""
    deadline = time.monotonic() + 30
    while provider.stats()["aborted"] == before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert provider.stats()["aborted"] == before + 1


def test_the_answer_is_printed(provider: Upstream) -> None:
    assert ask(provider, "hello", "--model", "custom:words@n=5") == (0, text(5) + "\n", "")


def test_jsonl_prints_a_refusal(provider: Upstream) -> None:
    provider.script("refuses", sse(delta(refusal="I cannot."), STOP))
    code, out, _ = ask(provider, "hello", "--model", "custom:refuses", "--jsonl")
    assert (code, json.loads(out)["refusal"]) == (0, "I cannot.")


def test_jsonl_prints_events_as_lines(provider: Upstream) -> None:
    code, out, err = ask(provider, "hello", "--model", "custom:tools", "--jsonl")
    lines: list[Any] = [json.loads(line) for line in out.splitlines()]
    assert (code, err) == (0, "")
    assert [line["type"] for line in lines] == ["text_delta", "tool_call", "tool_call", "finish"]
    assert lines[0] == {"type": "text_delta", "text": "Looking. "}
    assert lines[-1] == {
        "type": "finish",
        "text": "Looking. ",
        "thinking": "",
        "tool_calls": [
            {"id": "call_0", "name": "weather", "arguments": {"city": "Oslo"}},
            {"id": "call_1", "name": "weather", "arguments": {"city": "Rome"}},
        ],
        "finish_reason": "tool_calls",
        "refusal": "",
        "usage": {
            "input_tokens": 1,
            "output_tokens": 1,
            "total_tokens": 2,
            "cached_tokens": None,
            "reasoning_tokens": None,
        },
    }


def test_a_closed_pipe_ends_the_command_quietly(provider: Upstream) -> None:
    """As with `| head -1`."""
    before = provider.stats()["aborted"]
    process = start(provider, "hello", "--model", "custom:words@n=100000,delay=5")
    assert process.stdout is not None
    process.stdout.read(10)
    process.stdout.close()
    assert process.wait(60) == 141
    assert process.stderr is not None
    with process.stderr:
        assert process.stderr.read() == ""
    wait_until_closed(provider, before)


def test_jsonl_prints_an_error_and_sets_the_exit_code(provider: Upstream) -> None:
    code, out, err = ask(provider, "hello", "--model", "custom:status@code=429,retry_after=2", "--jsonl")
    assert code == 1
    assert err.count("The model is busy. Asking again in 2 s ...") == 2
    assert json.loads(out) == {
        "type": "error",
        "code": "rate_limited",
        "message": "The model is busy.",
        "detail": "custom asks to wait: Refused with 429.",
        "status": 429,
        "retry_after": 2.0,
        "text": "",
    }


def test_a_model_that_stays_busy_says_when_to_try_again(provider: Upstream) -> None:
    code, _, err = ask(provider, "hello", "--model", "custom:status@code=429,retry_after=1")
    assert code == 1
    assert err.endswith("custom asks to wait: Refused with 429. Try again in 1 s.\n")


def test_an_error_is_printed_after_the_text(provider: Upstream) -> None:
    code, out, err = ask(provider, "hello", "--model", "custom:cut@n=3")
    assert (code, out) == (1, text(3) + "\n")
    assert "broke off" in err


def test_the_sites_model_is_the_default(provider: Upstream) -> None:
    code, out, _ = ask(provider, "one two", "--instructions", "Be brief.", NOUS_CHAT_MODEL="custom:echo")
    assert (code, out) == (0, "one two \n")
    assert provider.last()["body"]["messages"][0] == {"role": "system", "content": "Be brief."}


def test_debug_prints_raw_events_with_their_time(provider: Upstream) -> None:
    code, out, err = ask(provider, "hello", "--model", "custom:words@n=2", "--debug")
    assert (code, out) == (0, text(2) + "\n")
    lines = err.splitlines()
    assert lines[-1].endswith("message: [DONE]")
    assert any('"content": "w1 "' in line for line in lines)
    assert [float(line.split()[0]) for line in lines] == sorted(float(line.split()[0]) for line in lines)


def test_a_recording_is_written_and_can_be_replayed(provider: Upstream, tmp_path: Path) -> None:
    file = tmp_path / "answer"
    code, out, err = ask(provider, "hello", "--model", "custom:tools", "--jsonl", "--record", str(file))
    assert code == 0
    assert f"--model demo:{file}.sse" in err
    assert KEY not in file.with_suffix(".sse").read_text() + file.with_suffix(".json").read_text()
    assert ask(provider, "hello", "--model", f"demo:{file}.sse", "--jsonl") == (0, out, "")


def test_a_failure_is_recorded_and_can_be_replayed(provider: Upstream, tmp_path: Path) -> None:
    file = tmp_path / "answer.json"
    code, out, _ = ask(provider, "hello", "--model", "custom:status@code=401", "--record", str(file))
    assert (code, out) == (1, "\n")
    metadata = json.loads(file.read_text())
    assert (metadata["status"], metadata["mode"], metadata["expected"]["error"]["code"]) == (
        401,
        "http-error",
        "authentication",
    )


def test_there_is_no_recording_if_nothing_was_sent(provider: Upstream, tmp_path: Path) -> None:
    code, _, err = ask(provider, "usage", "--model", "nobody:x", "--record", str(tmp_path / "answer"))
    assert code == 1
    assert "The recording could not be written" in err


def test_the_other_wires_work(provider: Upstream) -> None:
    environ = {"ANTHROPIC_API_KEY": KEY, "GEMINI_API_KEY": KEY}
    environ |= {f"{name}_BASE_URL": provider.bare_url for name in ("ANTHROPIC", "GEMINI", "OLLAMA")}
    for name in ("anthropic", "gemini", "ollama"):
        code, out, err = ask(provider, "hello", "--model", f"{name}:words@n=3", "--debug", **environ)
        assert (code, out) == (0, text(3) + "\n")
        assert "w1" in err


def test_ctrl_c_closes_the_stream(provider: Upstream) -> None:
    before = provider.stats()["aborted"]
    process = start(provider, "hello", "--model", "custom:words@n=100000,delay=5")
    assert process.stdout is not None
    assert process.stdout.read(6) == "w0 w1 "  # each delta is flushed
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err.strip() == ""
    wait_until_closed(provider, before)


HOSTILE = "\x1b]52;c;aGk=\x07ok\x9b31m\u202e\r\x7f"
"""Writes to the clipboard, and colours, hides, and reorders what follows."""


@pytest.fixture
def engine_log() -> Iterator[None]:
    """Undo what --debug does to the engine's logger."""
    logger = logging.getLogger("nous_chat.engine")
    before = logger.level, logger.propagate, list(logger.handlers)
    yield
    logger.setLevel(before[0])
    logger.propagate, logger.handlers = before[1], before[2]


@pytest.mark.usefixtures("engine_log")
@pytest.mark.parametrize("options", [[], ["--jsonl"], ["--debug"]], ids=["plain", "jsonl", "debug"])
def test_nothing_from_a_provider_can_control_a_terminal(
    provider: Upstream, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], options: list[str]
) -> None:
    monkeypatch.setenv("CUSTOM_BASE_URL", provider.url)
    raw = json.dumps({"error": {"message": HOSTILE}}, ensure_ascii=False).replace("\\u001b", "\x1b")
    provider.script("hostile", sse(delta(content=HOSTILE), delta(refusal=HOSTILE), STOP))
    provider.script("breaks", sse(delta(content="A"), f"data: {raw}\n\n".encode()))
    for model in ("hostile", "breaks"):
        with contextlib.suppress(SystemExit):
            call_command("nous_ask", "hello", "--model", f"custom:{model}", *options)
        out, err = capfd.readouterr()
        assert "ok" in out + err
        assert all(character.isprintable() or character == "\n" for character in out + err)
        if options == ["--jsonl"] and model == "hostile":
            assert json.loads(out.splitlines()[0])["text"] == HOSTILE, "the JSON is the same"
