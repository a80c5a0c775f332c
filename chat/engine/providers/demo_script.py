"""The script of the demo, which answers if no key is set: a guided tour, paced like a model. demo.py plays it."""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from ..events import TextDelta, ThinkingDelta, ToolCall, ToolCallDelta
from ..exceptions import ProviderError
from ..i18n import _
from ..messages import CONTINUE_PROMPT, Message
from .demo_documents import DEMO_DOCUMENTS, DemoDocument
from .provider import Request

_PACE = 1 / 30  # seconds per word

_INTRODUCTION = "I am the built-in demo, not a model: all of my answers were written in advance."

_GREETING = f"""{_INTRODUCTION} But everything around me is real. Say "tour" for a guided tour, or "long" for an \
answer long enough to stop, to reload, or to watch in two windows. Ask me to write a report or a program, or to fill a \
table, and it grows in a document next to this chat. There is also "think" for thinking, "slow" for a \
slow model, "code" for a code block, "error" for an answer that fails, and "usage" for how tokens are counted.

To talk to a real model, set a key, such as OPENAI_API_KEY, and restart; if your settings have a MODEL, change it. A \
local Ollama or LM Studio is found without a key.
"""

_TOUR_THINKING = """The user asks what there is to try. I show one thing after the other: first this thinking, then a \
tool, a table, a formula, and a diagram, and in the end a tool that needs an approval."""

_TOUR_TOOL = f"""{_INTRODUCTION} But everything around me is real, and this is a tour of it. Above you can open what I \
thought. Now I look at the clock. That is a tool, and this one may run at once."""

_TOUR_MARKDOWN = """The line above is a call: open it to see what the tool said. Answers are written in Markdown, so \
there can be a table,

| say | to see |
|---|---|
| `long` | an answer long enough to stop, to reload, or to watch in two windows |
| `think` | thinking |
| `slow` | a slow model |
| `code` | a code block |
| `error` | an answer that fails |
| `usage` | how tokens are counted |
| `write a report`, `write a program`, `fill a table` | a document that grows |

a formula,

$$
\\int_{-\\infty}^{\\infty} e^{-x^2}\\,dx = \\sqrt{\\pi}
$$

and a diagram, which you see when you press "Diagram":

```mermaid
sequenceDiagram
    You->>Server: a question
    Server->>Model: the chat so far
    loop every 40 ms
        Model-->>Server: a few words
        Server-->>You: a frame
    end
```

A tool that does something asks first. I would like to send you a postcard. You may change it, or say no."""

_TOUR_SENT = "Thank you! The postcard is written, but I only pretend: nothing was sent."

_TOUR_REJECTED = "As you wish: no postcard. A model would be told the reason, if you gave one."

_TOUR_NOT_CALLED = "Here I have no tools, so I can only tell you about them."

_TOUR_END = """Now try the rest yourself:

- Stop me in mid-sentence. The text so far stays.
- Reload this page while I write. I continue where I was.
- Open a second window next to this one. Both show the same words at the same time.
- Invite a second person, and watch each other type.

To talk to a real model, set a key, such as OPENAI_API_KEY, and restart; if your settings have a MODEL, change it. A \
local Ollama or LM Studio is found without a key.
"""

_STREAMING = f"""{_INTRODUCTION} But I know how streaming works, because I am streamed:

1. **You ask.** Your question is stored, and everybody in this chat gets it.
2. **A run starts.** The server sends the chat so far to the model and keeps the connection open.
3. **The model answers in pieces.** Each piece, a *delta*, holds a few letters.
4. **The server gathers them.** About 25 times a second it sends a numbered frame to every window.
5. **The page appends them.** If a number is missing, it asks for the text so far.
6. **The text is stored.** Once a second, and as a whole at the end, so that a reload shows the same words.

If you press Stop, the connection to the model is closed at once.
"""

_POEM = f"""{_INTRODUCTION} This poem was, too:

> The kettle hums; the window turns to grey.
> I wait for words that are still on their way.
> They come like rain: one drop, and then a few,
> and no one hurries them. What would it do?
>
> The one who plants a pear tree for its shade
> has sat in none of it when it was made.
> So let the cursor blink, the tea go cold:
> what comes by letters is worth being told.
"""

_THINKING = """The user wants to see thinking. A real model would consider the question here, try an answer, find a \
mistake in it, and try again. I only pretend, but the page treats it the same way: thinking comes before the answer, \
separate from it, and can be collapsed."""

_AFTER_THINKING = f"""{_INTRODUCTION} What you saw first is a model's thinking, as far as models show it. It is \
streamed and stored like the answer, but it is not sent back to the model as part of the chat.
"""

_SLOW = f"""{_INTRODUCTION} Now I pretend to be a large model on a small machine. You can type your next message in \
the meantime, or press Stop.
"""

_CODE = f"""{_INTRODUCTION} Here are a few lines of code:

```python
def primes(limit: int) -> list[int]:
    'All primes below the limit.'
    found: list[int] = []
    for number in range(2, limit):
        if all(number % prime for prime in found):
            found.append(number)
    return found
```

Backslashes, as in `C:\\new\\table`, arrive unchanged.
"""

_ERROR = f"""{_INTRODUCTION} You asked for an error, so in the middle of this very"""

_USAGE = f"""{_INTRODUCTION} Below each answer you see how many tokens it took. A token is a piece of a word. \
Providers charge for the tokens sent to the model, which are those of the whole chat so far, and for the \
tokens it writes. I count words instead. The counts of a model come from its provider; if the provider sends none, \
none are shown.
"""

_LONG = [
    f"{_INTRODUCTION} You asked for something long, so there is time to press Stop, to reload the page, or to open a "
    "second window.",
    "An answer begins with a question. Yours went to the server as one small frame, was stored in the database, and "
    "was sent to everybody in this chat, including you: the page shows what the server confirmed.",
    "Then a run started. It asked the model, and the model began to answer, a few letters at a time. Such a piece "
    "is called a delta. This paragraph alone has about sixty of them.",
    "Sending every delta to every window would be wasteful. So the server collects them for forty milliseconds, or "
    "up to about fifty characters, and sends them together in one frame. When it is busy, it collects a little "
    "longer. You will not notice.",
    "Every frame has a number. If one is lost, the window that misses it notices the gap and asks for the text so "
    "far. The same happens when you reload, when your train leaves a tunnel, or when another person joins while I "
    "am writing: late joiners get the same text from the beginning.",
    "About once a second the text so far is stored. If the server lost its power now, this answer would still be "
    "there after the restart, except for its last second, and marked as interrupted.",
    "If you press Stop, the connection to the model is closed at once, and it costs nothing more. If you leave, the "
    "same happens after a short delay, unless somebody else is still reading.",
    "When an answer ends, its whole text is sent once more, so that every window shows exactly what the database "
    "holds. Then the tokens are counted, and it is your turn.",
    "That was the life of an answer, told by an answer.",
]


Step = TextDelta | ThinkingDelta | ToolCallDelta | ToolCall | ProviderError | float

_CLOCK = ToolCall("clock", "current_time", {}, "{}")
_POSTCARD = ToolCall(
    "postcard",
    "send_postcard",
    {"to": "you", "text": "Wish you were here!"},
    '{"to": "you", "text": "Wish you were here!"}',
)


def demo_answer(request: Request) -> Iterator[Step]:
    """The next turn, as steps for DemoProvider; after CONTINUE_PROMPT, the rest of one that was cut off."""
    messages, tools = request.messages, {spec.name for spec in request.tools}
    if not messages or messages[-1].text != CONTINUE_PROMPT:
        return _answer(messages, tools)
    *before, cut_off = messages[:-1]
    if cut_off.role != "assistant" or cut_off.tool_calls:
        return _answer(messages[:-1], tools)
    length = len(cut_off.text)
    turn = list(_answer(before, tools))
    if length > sum(len(step.text) for step in turn if isinstance(step, TextDelta)):
        turn = list(_answer(before, set()))  # it holds later turns, too, whose calls are not in the history
    return _skip(length, turn)


def _skip(length: int, steps: Iterable[Step]) -> Iterator[Step]:
    """The steps without the first `length` characters, and without the pauses and thoughts before them."""
    for step in steps:
        if isinstance(step, TextDelta) and length:
            length, step = max(length - len(step.text), 0), TextDelta(step.text[length:])
        if not length and (not isinstance(step, TextDelta) or step.text):
            yield step


def _answer(messages: Sequence[Message], tools: Collection[str]) -> Iterator[Step]:
    """`tools` are the names of those that can be called."""
    asked = [position for position, m in enumerate(messages) if m.role == "user" and m.text != CONTINUE_PROMPT]
    question = messages[asked[-1]].text if asked else ""
    results = {m.name: m for m in messages[asked[-1] :] if m.role == "tool"} if asked else {}
    keywords = "long|think|slow|code|error|usage|try|tour|tool|approv|table|formula|diagram|stream|poem"
    keyword = re.search(rf"\b({keywords})", question.lower())
    asked_for = re.search(r"\b(?:write|fill|make|create)\b.*?\b(report|program|table)", question.lower())
    yield 0.4  # as if reading the question
    if asked_for:
        yield from _write(DEMO_DOCUMENTS[asked_for[1]], results, tools)
        return
    match keyword and keyword[1]:
        case "long":
            yield from _say("\n\n".join(_LONG))
        case "think":
            yield from _say(_THINKING, kind=ThinkingDelta)
            yield from _say(_AFTER_THINKING)
        case "slow":
            yield 3.0
            yield from _say(_SLOW, pace=0.4)
        case "code":
            yield from _say(_CODE)
        case "error":
            yield from _say(_ERROR)
            yield ProviderError(
                _("The demo broke off because you asked for an error. Retry fails again; other questions work."),
                "server_error",
                provider="demo",
                retryable=True,
            )
        case "usage":
            yield from _say(_USAGE)
        case "stream":
            yield from _say(_STREAMING)
        case "poem":
            yield from _say(_POEM)
        case None:
            yield from _say(_GREETING)
        case _:
            yield from _tour(results, tools)


def _write(document: DemoDocument, results: Mapping[str | None, Message], tools: Collection[str]) -> Iterator[Step]:
    """One turn: a call that writes the document, or what is said after it. Without the tool, the text itself."""
    if "create_document" in results:
        yield from _say(document.after)
        return
    yield from _say(f"{_INTRODUCTION} {document.before}\n\n")
    if "create_document" not in tools:
        fence = "" if document.kind == "markdown" else f"```{document.language or document.kind}"
        yield from _say(f"{fence}\n{document.text}{fence[:3]}\n")
        return
    for piece in re.findall(r".{1,6}", document.raw):
        yield ToolCallDelta("1", "create_document", piece)
        yield _PACE
    yield ToolCall("document", "create_document", dict(document.arguments), document.raw)


def _tour(results: Mapping[str | None, Message], tools: Collection[str]) -> Iterator[Step]:
    """One turn of the tour, up to its tool call; `results` are those of its calls so far. Without tools, all of it."""
    if not results:
        yield from _say(_TOUR_THINKING, kind=ThinkingDelta)
        yield from _say(_TOUR_TOOL)
        if _CLOCK.name in tools:
            yield _CLOCK
            return
        yield from _say(f"\n\n{_TOUR_NOT_CALLED}\n\n")
    if _POSTCARD.name not in results:
        yield from _say(_TOUR_MARKDOWN)
        if _POSTCARD.name in tools:
            yield _POSTCARD
            return
        yield from _say("\n\n")
    else:
        yield from _say(f"{_TOUR_REJECTED if results[_POSTCARD.name].failed else _TOUR_SENT}\n\n")
    yield from _say(_TOUR_END)


def _say(
    text: str, *, kind: type[TextDelta] | type[ThinkingDelta] = TextDelta, pace: float = _PACE
) -> Iterator[TextDelta | ThinkingDelta | float]:
    """Word by word, each with the whitespace before it."""
    for word in re.findall(r"\s*\S+|\s+$", text):
        yield kind(word)
        yield pace
