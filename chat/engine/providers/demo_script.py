"""The guided tour: a question in, a scripted answer out, paced like a model's. It is what answers where no key is set;
demo.py plays it."""

import re
from collections.abc import Iterator, Sequence

from ..events import TextDelta, ThinkingDelta
from ..exceptions import ProviderError
from ..i18n import _
from ..messages import GO_ON, Message
from .provider import Request

_PACE = 1 / 30  # seconds for a word

_HONEST = "I am the built-in demo and no model: every word of mine was written beforehand."

_TOUR = f"""{_HONEST} But everything around me is real, so try it:

- Stop me in mid-sentence. What you have read so far stays.
- Reload this page while I talk. I go on where I was.
- Open a second window beside this one. Both show the same words at the same time.
- Invite a second person, and watch one another type.

Say "long" for an answer long enough to do all that, "think" to see thinking, "slow" for a model that takes its \
time, "code" for a code block, "error" for an answer that fails, "usage" for how tokens are counted.

To talk to a real model, set a key and start again: OPENAI_API_KEY=... make run. An Ollama or LM Studio on this \
machine is found without one.
"""

_THOUGHTS = """The person wants to see thinking. A real model would weigh the question here, try an answer, find the \
mistake in it, and try again. I only pretend, but the page treats it the same: thinking comes before the answer, \
apart from it, and can be folded away."""

_THOUGHT = f"""{_HONEST} What you saw first is how a model's thinking looks, for those that show theirs. It is \
streamed and kept like the answer itself, and it is not sent back as a part of what was said.
"""

_SLOW = f"""{_HONEST} Now I pretend to be a large model on a small machine. You can type your next message meanwhile, \
or press Stop.
"""

_CODE = f"""{_HONEST} This is how a few lines of code look:

```python
def primes(limit: int) -> list[int]:
    'All primes below the limit.'
    found: list[int] = []
    for number in range(2, limit):
        if all(number % prime for prime in found):
            found.append(number)
    return found
```

Long lines and backslashes too, like `C:\\new\\table`, arrive as they were written.
"""

_ERROR = f"""{_HONEST} You asked for an error, so in the middle of this very"""

_USAGE = f"""{_HONEST} Under each answer stands how many tokens it took. A token is a piece of a word, and providers \
charge by it: for what is sent to the model, which is everything said so far, and for what it writes. I count words \
instead. A model's counts are its provider's own, and where a provider sends none, none are shown.
"""

_LONG = [
    f"{_HONEST} And you asked for something long. There is time now to press Stop, to reload, to open a second window.",
    "An answer begins with a question. Yours went to the server as one small frame, was written to the database, and \
was told to everybody who is here, to you as well: the page shows what it was told, not what it hopes for.",
    "Then a run began. It asked the model, and the model began to talk, a few letters at a time. Such a piece is \
called a delta, and this paragraph alone is some sixty of them.",
    "Sending every delta to every window would be wasteful, so they are gathered for a blink of an eye, forty \
milliseconds or some fifty characters, and leave together as one frame. When the server is busy it gathers a little \
longer. Nobody's eye can tell.",
    "Every frame has a number. If one is lost on its way, the window that misses it notices the gap and asks for the \
text so far. That is also what happens when you reload, when your train leaves the tunnel, or when a second person \
comes in while I am talking: whoever joins late reads the same words from the beginning.",
    "About once a second the text so far is written down. Were the server to lose its power now, this answer would be \
there after the restart, up to its last second, marked as interrupted.",
    "If you press Stop, the connection to the model is closed at once, and with it the meter. If you leave, the same \
happens after a short grace, unless somebody else is still reading.",
    "When an answer ends, its whole text goes round once more, so that every window ends with exactly what the \
database holds. Then the tokens are counted, and it is your turn again.",
    "That was the tour of an answer, told by one.",
]


Step = TextDelta | ThinkingDelta | ProviderError | float


def tour(request: Request) -> Iterator[Step]:
    """What to say to the last message, as steps for DemoProvider; what was cut off goes on."""
    said = request.messages
    if len(said) > 2 and said[-1].text == GO_ON:
        return _after(len(said[-2].text), _answer(said[:-2]))
    return _answer(said)


def _after(length: int, steps: Iterator[Step]) -> Iterator[Step]:
    """The steps without the first `length` characters, nor the pauses and thoughts before them."""
    for step in steps:
        if isinstance(step, TextDelta) and length:
            length, step = max(length - len(step.text), 0), TextDelta(step.text[length:])
        if not length and (not isinstance(step, TextDelta) or step.text):
            yield step


def _answer(messages: Sequence[Message]) -> Iterator[Step]:
    question = next((message.text for message in reversed(messages) if message.role == "user"), "")
    wish = re.search(r"\b(long|think|slow|code|error|usage)", question.lower())
    yield 0.4  # as if it had to read the question
    match wish and wish[1]:
        case "long":
            yield from _say("\n\n".join(_LONG))
        case "think":
            yield from _say(_THOUGHTS, kind=ThinkingDelta)
            yield from _say(_THOUGHT)
        case "slow":
            yield 3.0
            yield from _say(_SLOW, pace=0.4)
        case "code":
            yield from _say(_CODE)
        case "error":
            yield from _say(_ERROR)
            yield ProviderError(
                _(
                    "The demo broke off in the middle of its answer, because you asked for an error. Retry makes it "
                    "fail again; ask for something else, and it answers."
                ),
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
    """Word by word, each with the blanks before it."""
    for word in re.findall(r"\s*\S+|\s+$", text):
        yield kind(word)
        yield pace
