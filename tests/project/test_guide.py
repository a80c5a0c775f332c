"""docs/streaming.md is true: its fenced blocks are run, a section after another, and what they print is what it says.

    python    in order, one namespace for a section; `await` at the top level is allowed
    text      what the block before it printed; `...` stands for anything
    sh        in a shell; `python` is this one, `manage.py` this project's
    html      rendered as a Django template
    js        run by node with a page and a socket that are made of paper

Other languages fail. The providers are real HTTP servers that know the page's questions (`KNOWN`), by the addresses in
the environment; where the page says http://127.0.0.1:8000 there is a real site.
"""

import ast
import asyncio
import base64
import contextlib
import doctest
import inspect
import io
import json
import logging
import os
import re
import shutil
import subprocess
import sys
import time
import types
from collections.abc import Awaitable, Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import msgspec
import pytest
from django.template import engines
from django.test import RequestFactory
from django.utils import timezone

from chat import conf, store
from chat.models import Conversation, Message, Participant, Run

from ..support import upstream
from ..support.servers import ROOT, environment
from ..support.upstream import Answer, AnthropicAnswer, Upstream

PAGE = ROOT / "docs" / "streaming.md"
NODE = shutil.which("node")


# --- The page


class Block(NamedTuple):
    language: str
    code: str
    line: int
    """Of the page, where the code begins."""


class Section(NamedTuple):
    title: str
    blocks: list[Block]


def sections(page: str) -> list[Section]:
    """What stands under each `## heading`."""
    found = [Section("", [])]
    fence: Block | None = None
    for number, line in enumerate(page.splitlines(keepends=True), 1):
        if fence is None and line.startswith("```"):
            fence = Block(line[3:].strip(), "", number + 1)
        elif fence is not None and line.startswith("```"):
            found[-1].blocks.append(fence)
            fence = None
        elif fence is not None:
            fence = fence._replace(code=fence.code + line)
        elif line.startswith("## "):
            found.append(Section(line[3:].strip(), []))
    assert fence is None, f"the block at line {fence.line} has no end" if fence else ""
    return found


SECTIONS = [section for section in sections(PAGE.read_text("utf-8")) if section.blocks]
SCRIPTS = [block for section in SECTIONS for block in section.blocks if block.language == "js"]


# --- The models behind it

Behaviour = Callable[[Answer], Awaitable[None]]


def says(text: str, thinking: str = "") -> Behaviour:
    async def behaviour(answer: Answer) -> None:
        await answer.begin()
        await answer.choice({"role": "assistant", "content": ""})
        await answer.say(re.findall(r"\s*\S+\s*", thinking), field="reasoning_content")
        await answer.say(re.findall(r"\s*\S+\s*", text))
        await answer.finish()

    return behaviour


def calls(name: str, then: str, before: str = "", **arguments: Any) -> Behaviour:
    """Asks for a tool; with its result it says `then`."""

    async def behaviour(answer: Answer) -> None:
        if results := answer.results():
            return await says(then.format(*results))(answer)
        await answer.begin()
        await answer.say([before] if before else [])
        function = {"name": name, "arguments": json.dumps(arguments)}
        await answer.choice({"tool_calls": [{"index": 0, "id": "call_0", "type": "function", "function": function}]})
        return await answer.finish("tool_calls")

    return behaviour


async def breaks_off(answer: Answer) -> None:
    await answer.begin()
    await answer.say(["A wheel ", "has 28 to ", "36 of"])
    answer.connection.transport.abort()


async def falls_silent(answer: Answer) -> None:
    await answer.begin()
    await answer.say(["Gladly."])
    await answer.connection.silence()


async def asks_to_wait(answer: Answer) -> None:
    error = {"error": {"message": "Too many requests"}}
    await answer.connection.whole(429, error, "retry-after: 30\r\n")


async def overloaded_but_for_anthropic(answer: Answer) -> None:
    if isinstance(answer, AnthropicAnswer):
        return await says("From ten to two.")(answer)
    return await answer.connection.whole(503, {"error": {"message": "Overloaded"}}, "retry-after-ms: 10\r\n")


async def writes_json(answer: Answer) -> None:
    assert answer.request["response_format"]["type"] == "json_schema"
    await says('{"part": "brake pads", "quantity": 2}')(answer)


async def looks_at_the_picture(answer: Answer) -> None:
    picture = answer.request["messages"][-1]["content"][-1]["image_url"]["url"]
    assert picture == f"data:image/png;base64,{base64.b64encode(PHOTO).decode()}"
    await says("A rear derailleur, seen from behind.")(answer)


async def thinks(answer: Answer) -> None:
    assert answer.request["thinking"] == {"type": "enabled", "budget_tokens": 2000}
    await says("Yes, it does.", thinking="Five arms, 110 mm. That is a compact crank. ")(answer)


PHOTO = b"\x89PNG\r\n\x1a\n and so on"

KNOWN: dict[str, Behaviour] = {
    "How often do I oil the chain?": says("Every 200 kilometres, and after each ride in the rain."),
    "Which tyre fits a 622-28 rim?": says("One marked 28-622 to 47-622."),
    "My chain squeaks.": says("Clean it, then oil it."),
    "And if that does not help?": says("Then it is worn: have it replaced."),
    "Are we closed?": says("Yes."),
    "In one sentence, please.": says("Keep it clean."),
    "Complete: brake p": says("brake pads"),
    "Write our flyer, in Markdown.": says("# Spring check\n\n- brakes\n- chain\n"),
    "Does a 50-tooth ring fit my 110 mm crank?": thinks,
    "Tell me all about spokes.": breaks_off,
    "Read me the whole manual.": falls_silent,
    "Are you there?": asks_to_wait,
    "Are you open on Sundays?": overloaded_but_for_anthropic,
    "Two brake pads, please.": writes_json,
    "Which part is this?": looks_at_the_picture,
    "How many bells have we got?": calls("count_stock", "I do not know.", part="bell"),
    "Where is order 7?": calls("find_order", "It is on its way.", before="Let me see.", number=7),
    "Where is order 99?": calls(
        "find_order", "I cannot find that order. Is the number right?", before="Let me see.", number=99
    ),
    "Give me my money back for order 7.": calls("refund", "Done: {}", order=7, amount=40.0),
}


async def answers(answer: Answer) -> None:
    """Any of the page's models. Where several people talk, their names stand before their questions."""
    asked = next(turn["content"] for turn in reversed(answer.request["messages"]) if is_asked(turn))
    if not isinstance(asked, str):
        asked = "".join(part.get("text", "") for part in asked)
    await next(reply for question, reply in KNOWN.items() if asked.endswith(question))(answer)


def is_asked(turn: dict[str, Any]) -> bool:
    return turn["role"] == "user" and (isinstance(turn["content"], str) or "text" in turn["content"][0])


@pytest.fixture(scope="module")
def models() -> Iterator[Upstream]:
    with pytest.MonkeyPatch.context() as patch, Upstream() as server:
        for name in ("gpt-4o", "claude-sonnet-4-5"):
            patch.setitem(upstream.BEHAVIOURS, name, answers)
        yield server


# --- What sections find


def a_photo(*_: Any) -> dict[str, Any]:
    Path("photo.png").write_bytes(PHOTO)
    return {}


def a_request(need: Callable[[str], Any]) -> dict[str, Any]:
    request = RequestFactory().get("/")
    request.user = need("people")["ada"]
    return {"request": request}


def some_runs(need: Callable[[str], Any]) -> dict[str, Any]:
    people = need("people")
    began = timezone.now()
    for name, status, seconds, tokens, error in (
        ("ada", "completed", 2, 400, ""),
        ("ada", "completed", 4, 500, ""),
        ("bob", "failed", 1, 300, "overloaded"),
        ("bob", "running", None, None, ""),
    ):
        Run.objects.create(
            conversation=Conversation.objects.create(agent="assistant"),
            agent="assistant",
            model="openai:gpt-4o",
            host="elsewhere",
            launched_by=people[name],
            status=status,
            error_code=error,
            total_tokens=tokens,
            started_at=began,
            finished_at=seconds and began + timedelta(seconds=seconds),
        )
    return {}


def a_long_conversation(need: Callable[[str], Any]) -> dict[str, Any]:
    ada = need("people")["ada"]
    conversation = Conversation.objects.create(agent="assistant")
    Participant.objects.create(conversation=conversation, user=ada, role="owner")
    for seq in range(1, 6):
        Message.objects.create(conversation=conversation, seq=seq, role="user", author=ada, text=f"message {seq}")
    return {"ada": ada, "conversation": conversation}


def a_channel_layer(need: Callable[[str], Any]) -> dict[str, Any]:
    need("settings").CHANNEL_LAYERS = {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}
    return {}


PREPARED: dict[str, Callable[[Callable[[str], Any]], dict[str, Any]]] = {
    "Images": a_photo,
    "A web page": a_request,
    "Live documents": a_channel_layer,
    "Monitoring": some_runs,
    "Tokens": some_runs,
    "Resilience": a_long_conversation,
}


# --- How it is run

ANY = doctest.ELLIPSIS
SITE = "127.0.0.1:8000"


class Play:
    """One section, block by block. `env` is what programs get, `at` where the site is."""

    def __init__(self, names: dict[str, Any], env: dict[str, str], at: str = SITE) -> None:
        self.names = names
        self.env = env
        self.at = at
        self.printed: str | None = None
        self.runner = asyncio.Runner()

    def run(self, block: Block) -> None:
        known = {"python": self.python, "text": self.text, "sh": self.sh, "html": self.html, "js": self.js}
        assert block.language in known, f"line {block.line}: nothing here runs {block.language or 'a block without'!r}"
        known[block.language](block._replace(code=block.code.replace(SITE, self.at)))

    def python(self, block: Block) -> None:
        source = "\n" * (block.line - 1) + block.code  # so that a traceback names the page's lines
        code = compile(source, str(PAGE), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
        with contextlib.redirect_stdout(io.StringIO()) as out:
            if code.co_flags & inspect.CO_COROUTINE:
                self.runner.run(within(120, types.FunctionType(code, self.names)()))
            else:
                exec(code, self.names)
        self.printed = out.getvalue()
        if "NOUS_CHAT" in self.names:
            msgspec.convert(self.names["NOUS_CHAT"], conf.Conf)
        if "LOGGING" in self.names:
            told = f"import logging.config; logging.config.dictConfig({self.names['LOGGING']!r})"
            subprocess.run([sys.executable, "-c", told], check=True, timeout=60)

    def text(self, block: Block) -> None:
        assert self.printed is not None, f"line {block.line}: this is the output of nothing"
        checker, printed, self.printed = doctest.OutputChecker(), self.printed, None
        printed = "".join(f"{line.rstrip()}\n" for line in printed.splitlines())
        if not checker.check_output(block.code, printed, ANY):
            pytest.fail(f"line {block.line}: the page says\n{block.code}\nbut this was printed:\n{printed}", False)

    def sh(self, block: Block) -> None:
        command = ["sh", "-ec", block.code]
        done = subprocess.run(command, env=self.env, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, f"line {block.line}: {done.stdout}{done.stderr}"
        self.printed = done.stdout + done.stderr

    def html(self, block: Block) -> None:
        request = self.names["request"]
        conversation = store.create_conversation(request.user)
        row = Conversation.objects.get(pk=conversation.id)
        Message.objects.create(conversation=row, seq=1, role="user", author=request.user, text="My chain squeaks.")
        page = engines["django"].from_string(block.code).render({"conversation": row}, request)
        assert f'conversation="{conversation.id}"' in page
        assert "My chain squeaks." in page
        self.printed = None

    def js(self, _: Block) -> None:
        """`test_a_script_shows_what_the_server_pushes` runs it."""
        self.printed = None

    def close(self) -> None:
        """What a snippet that failed has not closed would be blamed on another test."""
        for left in [value for value in self.names.values() if isinstance(value, httpx.AsyncClient)]:
            self.runner.run(left.aclose())
        self.runner.close()


async def within(seconds: float, work: Awaitable[object]) -> None:
    async with asyncio.timeout(seconds):
        await work


@pytest.fixture
def play(models: Upstream, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Play]:
    """In a folder of its own, with the models' addresses in the environment."""
    addresses = {
        "OPENAI_BASE_URL": models.url,
        "OPENAI_API_KEY": "sk-a-key-of-the-page",
        "ANTHROPIC_BASE_URL": models.bare_url,
        "ANTHROPIC_API_KEY": "sk-ant-a-key-of-the-page",
        "NO_PROXY": "*",
        "no_proxy": "*",
    }
    for name, value in addresses.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("NOUS_CHAT_MAX_RETRIES", raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "manage.py").symlink_to(ROOT / "manage.py")
    module = types.ModuleType("streaming_page")
    monkeypatch.setitem(sys.modules, module.__name__, module)  # dataclasses look there
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    play = Play(vars(module), environment(**addresses, PATH=path))
    logger = logging.getLogger("nous_chat.engine")
    level, handlers = logger.level, list(logger.handlers)
    yield play
    logger.setLevel(level)
    logger.handlers[:] = handlers
    play.close()


@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: section.title)
def test_section(section: Section, play: Play, models: Upstream, db: None, request: pytest.FixtureRequest) -> None:
    if section.title in PREPARED:
        play.names.update(PREPARED[section.title](request.getfixturevalue))
    if any(SITE in block.code for block in section.blocks):
        there = {name: value for name, value in play.env.items() if name.startswith("OPENAI")}
        site = request.getfixturevalue("start_site")(**there, NOUS_CHAT_MODEL="openai:gpt-4o")
        play.at = f"127.0.0.1:{site.port}"
        play.env = play.env | {"DATABASE_URL": site.env["DATABASE_URL"]}
    for block in section.blocks:
        play.run(block)
    deadline = time.monotonic() + 30
    while models.stats()["active"] and time.monotonic() < deadline:
        time.sleep(0.01)
    assert models.stats()["active"] == 0, "a snippet left a stream open"


# --- Scripts

PAPER = """
const elements = {};
globalThis.document = { querySelector: (name) => elements[name] ??= {
  textContent: "", dataset: { websocket: "/ws/chat/1/" }, append(text) { this.textContent += text; },
} };
globalThis.WebSocket = class {
  sent = [];
  constructor(address) { this.address = address; globalThis.socket = this; }
  send(text) { this.sent.push(JSON.parse(text)); }
};
"""
PLAYED = """
const seen = [];
elements["#question"] = { value: "Hello?" };
elements["#ask"].onclick();
for (const event of JSON.parse(process.argv[2])) {
  globalThis.socket.onmessage({ data: JSON.stringify(event) });
  seen.push(elements["#answer"].textContent);
}
console.log(JSON.stringify({ seen, sent: globalThis.socket.sent, address: globalThis.socket.address }));
"""
PUSHED = [
    {"type": "run.started"},
    {"type": "run.delta", "seq": 1, "thinking": "Hm."},
    {"type": "run.delta", "seq": 2, "text": "Good "},
    {"type": "run.delta", "seq": 3, "text": "day"},
    {"type": "run.finished", "message": {"text": "Good day."}},
]


@pytest.mark.skipif(NODE is None, reason="node is not installed")
@pytest.mark.parametrize("block", SCRIPTS, ids=lambda block: f"line {block.line}")
def test_a_script_shows_what_the_server_pushes(block: Block, tmp_path: Path) -> None:
    script = tmp_path / "script.mjs"
    crypto = 'import { webcrypto } from "node:crypto"; globalThis.crypto ??= webcrypto;\n'
    script.write_text(crypto + PAPER + block.code + PLAYED)
    command = [str(NODE), str(script), json.dumps(PUSHED)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["seen"] == ["", "", "Good ", "Good day", "Good day."]
    assert told["address"] == "/ws/chat/1/"
    (command,) = told["sent"]
    assert (command["type"], command["text"], len(command["client_id"])) == ("message.send", "Hello?", 36)


# --- The page as a whole, and whether this file would notice


def test_links_lead_somewhere() -> None:
    page = PAGE.read_text("utf-8")
    prose = re.sub(r"^```.*?^```", "", page, flags=re.MULTILINE | re.DOTALL)
    targets = re.findall(r"\]\(([^)]+)\)", prose)
    assert targets
    for target in targets:
        if target.startswith("https://"):
            continue
        file, _, anchor = target.partition("#")
        linked = PAGE.parent / file if file else PAGE
        headings = re.findall(r"^#+ (.+)$", linked.read_text("utf-8"), re.MULTILINE)
        assert not anchor or anchor in {re.sub(r"[^\w -]", "", h).lower().replace(" ", "-") for h in headings}, target


def test_each_section_begins_with_what_it_is_for() -> None:
    for title, first in re.findall(r"^## (.+)\n\n(.*)", PAGE.read_text("utf-8"), re.MULTILINE):
        assert first.startswith("To "), title


def test_what_is_prepared_is_for_sections_that_are_there() -> None:
    assert set(PREPARED) <= {section.title for section in SECTIONS}


def test_every_logger_is_named() -> None:
    page = PAGE.read_text("utf-8")
    for file in (ROOT / "chat").rglob("*.py"):
        for name in re.findall(r'getLogger\("([^"]+)"\)', file.read_text("utf-8")):
            assert f'"{name}"' in page, name


@pytest.mark.parametrize(
    ("page", "complaint"),
    [
        ("```python\nprint(1)\n```\n```text\n2\n```\n", "the page says"),
        ("```python\nprint(await nothing())\n```\n", "nothing"),
        ("```text\n2\n```\n", "the output of nothing"),
        ("```sh\nfalse\n```\n", "line 3"),
        ("```elixir\n1\n```\n", "nothing here runs 'elixir'"),
        ("```\n1\n```\n", "nothing here runs"),
    ],
    ids=["another output", "an exception", "text alone", "a command that fails", "a language", "no language"],
)
def test_a_page_that_is_wrong_is_noticed(page: str, complaint: str, play: Play) -> None:
    with pytest.raises((AssertionError, pytest.fail.Exception, NameError), match=complaint):
        for block in sections(f"## A section\n{page}")[1].blocks:
            play.run(block)
