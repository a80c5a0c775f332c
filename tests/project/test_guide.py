"""The guide (docs/guide/) is true: the tests run its code blocks page by page and compare the output.

    python    run in order, in one namespace per page; `await` at the top level is allowed
    text      the output of the block before it; `...` stands for anything
    sh        run in a shell; `python` is this interpreter, `manage.py` this project's
    html      rendered as a Django template
    js        run by node with a fake page and a fake socket

Any other language fails. The providers are real HTTP servers that know the guide's questions (`KNOWN`); the environment
holds their addresses. Where a page says http://127.0.0.1:8000, a real site runs.
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

from ..support.servers import ROOT, environment
from ..support.upstream import Answer, AnthropicAnswer, Upstream, behaviours

DOCS = ROOT / "docs"
GUIDE = DOCS / "guide"
NODE = shutil.which("node")


# --- The pages


class Block(NamedTuple):
    language: str
    code: str
    line: int
    """The page's line on which the code begins."""


def blocks(page: str) -> list[Block]:
    """The fenced code blocks of a page's text."""
    found: list[Block] = []
    fence: Block | None = None
    for number, line in enumerate(page.splitlines(keepends=True), 1):
        if fence is None and line.startswith("```"):
            fence = Block(line[3:].strip(), "", number + 1)
        elif fence is not None and line.startswith("```"):
            found.append(fence)
            fence = None
        elif fence is not None:
            fence = fence._replace(code=fence.code + line)
    assert fence is None, f"the block at line {fence.line} has no end" if fence else ""
    return found


def text_of(page: Path) -> str:
    return page.read_text("utf-8")


PAGES = sorted(GUIDE.glob("*.md"))
SCRIPTS = [block for page in PAGES for block in blocks(text_of(page)) if block.language == "js"]
OTHER_PAGES = [
    page
    for page in [*ROOT.glob("*.md"), *DOCS.glob("*.md")]
    if any(block.language == "python" for block in blocks(text_of(page)))
]


# --- The models

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


async def publishes(answer: Answer) -> None:
    if results := answer.results():
        return await says(f"Done: {results[0]}")(answer)
    await answer.begin()
    function = {"name": "publish", "arguments": ""}
    await answer.choice({"tool_calls": [{"index": 0, "id": "call_0", "type": "function", "function": function}]})
    for piece in ('{"title": "Hours", ', '"text": "We are ', "open", '."}'):
        await answer.choice({"tool_calls": [{"index": 0, "function": {"arguments": piece}}]})
    return await answer.finish("tool_calls")


KNOWN: dict[str, Behaviour] = {
    "Publish our opening hours.": publishes,
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
    "What's the weather in Tokyo?": says("Sunny, 18 degrees."),
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
    """Any model of the guide. If several people talk, each question starts with its author's name."""
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
            patch.setitem(behaviours.BEHAVIOURS, name, answers)
        yield server


# --- What the pages need


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
            finished_at=None if seconds is None else began + timedelta(seconds=seconds),
        )
    request = RequestFactory().get("/")
    people["eve"].is_staff = True

    async def find_user() -> Any:
        return people["eve"]

    request.auser = find_user
    return {"request": request}


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
    "images": a_photo,
    "web-page": a_request,
    "live-documents": a_channel_layer,
    "monitoring": some_runs,
    "tokens": some_runs,
    "resilience": a_long_conversation,
}


# --- Running them

ANY = doctest.ELLIPSIS
SITE = "127.0.0.1:8000"


class Play:
    """Runs one page, block by block. `env` is the environment of programs, `at` the address of the site."""

    def __init__(self, names: dict[str, Any], env: dict[str, str], at: str = SITE) -> None:
        self.page = GUIDE
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
        source = "\n" * (block.line - 1) + as_here(block.code)  # tracebacks then show the page's lines
        code = compile(source, str(self.page), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
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
        """Close what a failed snippet left open, so that its warning does not fail another test."""
        for client in [value for value in self.names.values() if isinstance(value, httpx.AsyncClient)]:
            self.runner.run(client.aclose())
        self.runner.close()


async def within(seconds: float, work: Awaitable[object]) -> None:
    async with asyncio.timeout(seconds):
        await work


@pytest.fixture
def play(models: Upstream, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Play]:
    """A Play in an empty folder, with the models' addresses in the environment."""
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
    module = types.ModuleType("guide_page")
    monkeypatch.setitem(sys.modules, module.__name__, module)  # dataclasses look there
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    play = Play(vars(module), environment(**addresses, PATH=path))
    logger = logging.getLogger("nous_chat.engine")
    level, handlers = logger.level, list(logger.handlers)
    yield play
    logger.setLevel(level)
    logger.handlers[:] = handlers
    play.close()


@pytest.mark.site
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_code_of_a_page_runs_and_prints_what_the_page_says(
    page: Path, play: Play, models: Upstream, db: None, request: pytest.FixtureRequest
) -> None:
    found = blocks(text_of(page))
    assert found, "a page of the guide shows code"
    play.page = page
    if page.stem in PREPARED:
        play.names.update(PREPARED[page.stem](request.getfixturevalue))
    if any(SITE in block.code for block in found):
        provider = {name: value for name, value in play.env.items() if name.startswith("OPENAI")}
        site = request.getfixturevalue("start_site")(**provider, NOUS_CHAT_MODEL="openai:gpt-4o")
        play.at = f"127.0.0.1:{site.port}"
        play.env = play.env | {"DATABASE_URL": site.env["DATABASE_URL"]}
    for block in found:
        play.run(block)
    deadline = time.monotonic() + 30
    while models.stats()["active"] and time.monotonic() < deadline:
        time.sleep(0.01)
    assert models.stats()["active"] == 0, "a snippet left a stream open"


def as_here(code: str) -> str:
    """Code of a page, which names the installed package, for the repository, where it is the folder `chat`."""
    return re.sub(r"\b(from |import |(?=nous_chat\.(?:logs|permissions)\.))nous_chat\b", r"\1chat", code)


def runs_alone(code: str) -> bool:
    """True if the code sets NOUS_CHAT or uses the package's own API, so that it needs no file of a site around it."""
    return code.startswith(("NOUS_CHAT", "from nous_chat.", "import msgspec")) and "request." not in code


@pytest.mark.parametrize("page", OTHER_PAGES, ids=lambda page: page.stem)
def test_the_python_of_other_pages_runs_if_it_needs_no_site(page: Path, play: Play) -> None:
    play.page = page
    for block in blocks(text_of(page)):
        if block.language == "python" and runs_alone(block.code):
            play.run(block)
        elif block.language == "python":
            compile(block.code, f"{page}:{block.line}", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


# --- Scripts

FAKE_PAGE = """
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
SCENE = """
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
    script.write_text(crypto + FAKE_PAGE + block.code + SCENE)
    command = [str(NODE), str(script), json.dumps(PUSHED)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["seen"] == ["", "", "Good ", "Good day", "Good day."]
    assert told["address"] == "/ws/chat/1/"
    (command,) = told["sent"]
    assert (command["type"], command["text"], len(command["client_id"])) == ("message.send", "Hello?", 36)


# --- The guide as a whole, and whether this file would notice a mistake


def test_a_page_says_what_it_is_for_in_its_first_sentence() -> None:
    for page in PAGES:
        title, purpose = text_of(page).split("\n\n")[:2]
        assert re.fullmatch("# .+", title), page
        assert re.fullmatch("[A-Z].*[.:]", purpose, re.DOTALL), page


def test_the_index_lists_every_page_of_the_guide_once() -> None:
    listed = re.findall(r"\(guide/([\w-]+)\.md\)", text_of(DOCS / "README.md"))
    assert sorted(listed) == [page.stem for page in PAGES]


def test_what_is_prepared_is_for_pages_that_exist() -> None:
    assert set(PREPARED) <= {page.stem for page in PAGES}


def test_every_logger_is_documented() -> None:
    page = text_of(GUIDE / "monitoring.md")
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
def test_a_wrong_page_fails(page: str, complaint: str, play: Play) -> None:
    with pytest.raises((AssertionError, pytest.fail.Exception, NameError), match=complaint):
        for block in blocks(f"# A page\n{page}"):
            play.run(block)
