"""A recording in, the answer that it holds out, through the parser of its wire. `demo:FILE.sse` is that: for seeing
again what a provider sent, and for building a page without a key."""

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import msgspec

from ..exceptions import ConfigurationError
from .anthropic import AnthropicParser
from .errors import Failures
from .gemini import GeminiParser
from .ollama import OllamaParser
from .openai import OpenAIParser
from .parser import Delta, Parser
from .provider import Completion, Request
from .response_decoder import Body

PARSERS: dict[str, type[Parser]] = {
    "openai": OpenAIParser,
    "anthropic": AnthropicParser,
    "gemini": GeminiParser,
    "ollama": OllamaParser,
}


class ReplayProvider:
    """Answers every request with FILE.sse and what FILE.json says of it (recording.py), line by line and at once."""

    def __init__(self, file: str) -> None:
        self.name = "demo"
        self.model = file
        body = Path(file).with_suffix(".sse")
        try:
            self._body = body.read_bytes()
            self._about: dict[str, Any] = msgspec.json.decode(body.with_suffix(".json").read_bytes(), type=dict)
        except (OSError, msgspec.DecodeError) as error:
            raise ConfigurationError(f"{file} is no recording, with a .json beside its .sse: {error}.") from None
        self._failures = Failures(self.name, self.model, file, "the key", "")

    async def stream(self, _: Request) -> AsyncGenerator[Delta | Completion, None]:
        status = self._about.get("status")
        if isinstance(status, int) and status != 200:
            raise self._failures.status(status, self._about.get("headers") or {}, self._body)
        parser = PARSERS.get(str(self._about.get("wire")), OpenAIParser)()
        body = Body(parser, self._failures)
        lines = iter(self._body.splitlines(keepends=True))
        while not body.done:
            for delta in body.take(next(lines, b"")):
                yield delta
            await asyncio.sleep(0)
        yield parser.completion()
        if body.failure:
            raise body.failure
