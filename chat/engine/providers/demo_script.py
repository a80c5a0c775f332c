"""The script of the demo, which answers if no key is set: a guided tour, paced like a model. demo.py plays it."""

import re
from collections.abc import Iterator, Sequence

from ..events import TextDelta, ThinkingDelta
from ..exceptions import ProviderError
from ..i18n import _
from ..messages import CONTINUE_PROMPT, Message
from .provider import Request

_PACE = 1 / 30  # seconds per word

_INTRODUCTION = "I am the built-in demo, not a model: all of my answers were written in advance."

_TOUR = f"""{_INTRODUCTION} But everything around me is real, so try it:

- Stop me in mid-sentence. The text so far stays.
- Reload this page while I write. I continue where I was.
- Open a second window next to this one. Both show the same words at the same time.
- Invite a second person, and watch each other type.

Say "long" for an answer long enough to try all of that, "think" to see thinking, "slow" for a slow model, "code" \
for a code block, "error" for an answer that fails, or "usage" for how tokens are counted.

To talk to a real model, set a key and restart: OPENAI_API_KEY=... make run. A local Ollama or LM Studio is found \
without a key.
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


Step = TextDelta | ThinkingDelta | ProviderError | float


def demo_answer(request: Request) -> Iterator[Step]:
    """The answer to the last message, as steps for DemoProvider; after CONTINUE_PROMPT, the rest of a cut-off one."""
    messages = request.messages
    if len(messages) > 2 and messages[-1].text == CONTINUE_PROMPT:
        return _skip(len(messages[-2].text), _answer(messages[:-2]))
    return _answer(messages)


def _skip(length: int, steps: Iterator[Step]) -> Iterator[Step]:
    """The steps without the first `length` characters, and without the pauses and thoughts before them."""
    for step in steps:
        if isinstance(step, TextDelta) and length:
            length, step = max(length - len(step.text), 0), TextDelta(step.text[length:])
        if not length and (not isinstance(step, TextDelta) or step.text):
            yield step


def _answer(messages: Sequence[Message]) -> Iterator[Step]:
    question = next((message.text for message in reversed(messages) if message.role == "user"), "")
    keyword = re.search(r"\b(long|think|slow|code|error|usage)", question.lower())
    yield 0.4  # as if reading the question
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
        case _:
            yield from _say(_TOUR)


def _say(
    text: str, *, kind: type[TextDelta] | type[ThinkingDelta] = TextDelta, pace: float = _PACE
) -> Iterator[TextDelta | ThinkingDelta | float]:
    """Word by word, each with the whitespace before it."""
    for word in re.findall(r"\s*\S+|\s+$", text):
        yield kind(word)
        yield pace
