"""A provider that plays a recording through the parser of its wire: `demo:FILE.sse`. For looking again at what a
provider sent, and for building a page without a key."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from pathlib import Path
from typing import Any, Self

import msgspec

from ..exceptions import ConfigurationError
from .anthropic import AnthropicParser
from .errors import ProviderErrors
from .gemini import GeminiParser
from .ollama import OllamaParser
from .openai import OpenAIParser
from .parser import Delta, Parser
from .provider import Completion, Request
from .response_decoder import ResponseDecoder

PARSERS: dict[str, type[Parser[Any]]] = {
    "openai": OpenAIParser,
    "anthropic": AnthropicParser,
    "gemini": GeminiParser,
    "ollama": OllamaParser,
}


class ReplayProvider:
    """Answers every request with a recorded body, line by line and without pauses. `metadata` is that of recording.py,
    `model` the name of the recording."""

    def __init__(self, model: str, metadata: Mapping[str, Any], body: bytes) -> None:
        self.name = "demo"
        self.model = model
        self._metadata = metadata
        self._body = body
        self._errors = ProviderErrors(self.name, model, model, "the key", "")

    @classmethod
    def read(cls, file: str) -> Self:
        """Of FILE.sse, and FILE.json next to it. Raises ConfigurationError."""
        path = Path(file).with_suffix(".sse")
        try:
            body = path.read_bytes()
            metadata: dict[str, Any] = msgspec.json.decode(path.with_suffix(".json").read_bytes(), type=dict)
        except (OSError, msgspec.DecodeError) as error:
            raise ConfigurationError(f"{file} is not a recording (a .sse file next to its .json): {error}.") from None
        return cls(file, metadata, body)

    async def stream(self, _: Request) -> AsyncGenerator[Delta | Completion, None]:
        status = self._metadata.get("status")
        if isinstance(status, int) and not 200 <= status < 300:
            raise self._errors.status(status, self._metadata.get("headers") or {}, self._body)
        parser = PARSERS.get(str(self._metadata.get("wire")), OpenAIParser)()
        decoder = ResponseDecoder(parser, self._errors)
        lines = iter(self._body.splitlines(keepends=True))
        while not decoder.done:
            for delta in decoder.decode(next(lines, b"")):
                yield delta
            await asyncio.sleep(0)
        yield parser.completion()
        if decoder.error:
            raise decoder.error
