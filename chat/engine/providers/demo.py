"""Providers that need no network: a script (in tests), the guided tour (demo_script.py) for sites without a key, and
recordings (replay.py)."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable

from ..events import TextDelta, ThinkingDelta, ToolCall, ToolCallDelta
from ..exceptions import ConfigurationError, EngineError
from ..usage import Usage
from .demo_script import demo_answer
from .parser import Delta
from .provider import Completion, Provider, Request
from .replay import ReplayProvider

Step = Delta | Completion | EngineError | float | Callable[[], Awaitable[object]]


class DemoProvider:
    """Plays a script, or the script that a function returns for a request. The steps:

    an event               is yielded as it is
    a number               is a pause in seconds
    a coroutine function   is awaited: with `gate.wait` a test holds the stream until it opens the gate
    an EngineError         is raised
    a Completion           is how the answer ends; the default is "stop", with words counted as tokens
    """

    def __init__(self, model: str = "script", *, script: Iterable[Step] | Callable[[Request], Iterable[Step]]) -> None:
        self.name = "demo"
        self.model = model
        self._script = script if callable(script) else list(script)

    async def stream(self, request: Request) -> AsyncGenerator[Delta | Completion, None]:
        words = thoughts = 0
        completed = False
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
                    completed = True
                case ToolCall() | ToolCallDelta():
                    pass
                case _:
                    await step()
                    continue
            yield step
        if not completed:
            prompt = sum(len(text.split()) for text in (request.instructions, *(m.text for m in request.messages)))
            yield Completion("stop", Usage(prompt, words + thoughts, prompt + words + thoughts, None, thoughts))


def demo_provider(model: str) -> Provider:
    """The provider of "demo" and "demo:tour", or of "demo:FILE.sse" for a recording."""
    if model.endswith((".sse", ".json")):
        return ReplayProvider.read(model)
    if model not in ("", "tour"):
        raise ConfigurationError(f'The demo has no model {model!r}. Write "demo:tour", or "demo:FILE.sse".')
    return DemoProvider("tour", script=demo_answer)
