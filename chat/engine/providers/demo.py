"""A provider that needs no network: a script in tests, the guided tour (tour.py) for people who have no key yet."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable

from ..events import TextDelta, ThinkingDelta, ToolCall
from ..exceptions import ConfigurationError, EngineError
from ..usage import Usage
from .parser import Delta
from .provider import Completion, Request
from .tour import tour

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
        words = reasoning = 0
        completion: Completion | None = None
        for step in self._script(request) if callable(self._script) else self._script:
            match step:
                case int() | float():
                    await asyncio.sleep(step)
                    continue
                case EngineError():
                    raise step
                case Completion():
                    completion = step
                case TextDelta(text):
                    words += len(text.split())
                case ThinkingDelta(text):
                    reasoning += len(text.split())
                case ToolCall():
                    pass
                case _:
                    await step()
                    continue
            if step is not completion:
                yield step
        asked = sum(len(message.text.split()) for message in request.messages)
        asked += len(request.instructions.split())
        usage = Usage(
            input_tokens=asked,
            output_tokens=words + reasoning,
            total_tokens=asked + words + reasoning,
            reasoning_tokens=reasoning,
        )
        yield completion or Completion("stop", usage)


def demo(model: str) -> DemoProvider:
    """ "demo" and "demo:tour"."""
    if model not in ("", "tour"):
        raise ConfigurationError(f'The demo has no model {model!r}. Write "demo:tour".')
    return DemoProvider("tour", script=tour)
