"""A provider that needs no network: a script in tests, the guided tour (tour.py) for people who have no key yet, a
recording (replay.py) for looking again."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable

from ..events import TextDelta, ThinkingDelta, ToolCall
from ..exceptions import ConfigurationError, EngineError
from ..usage import Usage
from .demo_script import tour
from .parser import Delta
from .provider import Completion, Provider, Request
from .replay import ReplayProvider

Step = Delta | Completion | EngineError | float | Callable[[], Awaitable[object]]


class DemoProvider:
    """Plays a script, or what a function makes of each request. The steps:

    an event               comes out as it is
    a number               is a pause in seconds
    a coroutine function   is awaited: with `gate.wait` a test holds the stream until it opens the gate
    an EngineError         is how it fails
    a Completion           is how it ends; without one it stops, with words counted as tokens
    """

    def __init__(self, model: str = "script", *, script: Iterable[Step] | Callable[[Request], Iterable[Step]]) -> None:
        self.name = "demo"
        self.model = model
        self._script = script if callable(script) else list(script)

    async def stream(self, request: Request) -> AsyncGenerator[Delta | Completion, None]:
        words = thoughts = 0
        ended = False
        for step in self._script(request) if callable(self._script) else self._script:
            match step:
                case int() | float():
                    await asyncio.sleep(step)
                    continue
                case EngineError():
                    raise step
                case TextDelta(text):
                    words += len(text.split())
                case ThinkingDelta(text):
                    thoughts += len(text.split())
                case Completion():
                    ended = True
                case ToolCall():
                    pass
                case _:
                    await step()
                    continue
            yield step
        if not ended:
            asked = sum(len(text.split()) for text in (request.instructions, *(m.text for m in request.messages)))
            yield Completion("stop", Usage(asked, words + thoughts, asked + words + thoughts, None, thoughts))


def demo(model: str) -> Provider:
    """ "demo" and "demo:tour"; "demo:FILE.sse" for a recording."""
    if model.endswith((".sse", ".json")):
        return ReplayProvider(model)
    if model not in ("", "tour"):
        raise ConfigurationError(f'The demo has no model {model!r}. Write "demo:tour", or "demo:FILE.sse".')
    return DemoProvider("tour", script=tour)
