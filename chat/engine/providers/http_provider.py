"""Base class of the providers over HTTP: sends a Request, yields the deltas of the answer, and raises EngineErrors. A
vendor's module implements the address, the headers, the request body and the parser."""

import json
import logging
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from itertools import chain
from typing import Any

import msgspec

from ..coalesce import merge_adjacent
from ..connections import connections, read_pause
from ..events import ToolCallDelta
from ..exceptions import ConfigurationError, EngineError
from .errors import ProviderErrors
from .key_filter import KeyFilter
from .parser import Delta, Parser
from .provider import Completion, Request
from .recording import note, recording
from .response_decoder import ResponseDecoder
from .transport import Deadlines, Exchange, reach

logger = logging.getLogger("nous_chat.engine")


PROMPT_READS = 10
"""How many reads of a call's arguments bring each piece at once, because the first ones tell what is written where."""


class _FieldRefusedError(Exception):
    """Send the request again without a field."""


class HTTPProvider(ABC):
    """One model behind one address. `key_variable` names the environment variable of the key, for the advice in errors;
    `wire` names the format in recordings."""

    wire: str

    def __init__(self, name: str, model: str, base_url: str, key: str = "", key_variable: str = "the key") -> None:
        if "@" in base_url.partition("://")[2].partition("/")[0]:
            raise ConfigurationError(f"The base URL of {name} contains a key. Put it into {key_variable} instead.")
        self.name = name
        self.model = model
        self.base_url = base_url.rstrip("/")
        self._key = key
        self._errors = ProviderErrors(name, model, self.base_url, key_variable, key)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.provider_and_model}>"

    @property
    def provider_and_model(self) -> str:
        return f"{self.name}:{self.model}"

    async def stream(self, request: Request) -> AsyncGenerator[Delta | Completion, None]:
        deadlines = Deadlines(request.limits)
        body = self.request_body(request)
        while True:
            try:
                async with aclosing(self._exchange(request, body, deadlines)) as events:
                    async for event in events:
                        yield event
                return
            except _FieldRefusedError as refused:
                logger.info("%s; asking again without it", refused)
                note("asked_again", detail=str(refused))

    async def reach(self) -> None:
        """Connect to the server, whatever it answers. Raises EngineError."""
        async with connections() as client:
            await reach(client, self.base_url, self._errors)

    async def _exchange(
        self, request: Request, body: dict[str, Any], deadlines: Deadlines
    ) -> AsyncGenerator[Delta | Completion, None]:
        parser = self.parser()
        parser.limits = request.limits
        parser.streamed_tools = {tool.name for tool in request.tools if tool.stream_arguments}
        url, content, tape = self.url(), _encode(body), recording.get()
        record = None
        if tape is not None:
            record = tape.begin_exchange(self.name, self.model, self.wire, url, content, self._key)
        async with connections() as client, Exchange(client, deadlines, self._errors) as exchange:
            response = await exchange.post(url, self.headers(), content)
            if record:
                record.add_response(response.status_code, response.headers)
            if not response.is_success:
                error_body = await exchange.read_all(64 * 1024)
                if record:
                    record.add_chunk(error_body)
                if response.status_code in (400, 422) and self.drop_refused_field(body, error_body):
                    raise _FieldRefusedError(f"{self!r} refused a field")
                raise self._errors.status(response.status_code, response.headers, error_body)
            has_results = bool(request.messages) and request.messages[-1].role == "tool"
            with_parameters = {tool.name for tool in request.tools if tool.schema.get("properties")}
            keys = KeyFilter(self._key)
            decoder = ResponseDecoder(parser, self._errors, may_be_empty=has_results, with_parameters=with_parameters)
            try:
                arguments = 0  # how many reads in a row have brought nothing but arguments of calls
                while not decoder.done:
                    progress = parser.progress
                    is_call = arguments > PROMPT_READS
                    try:
                        chunk = await exchange.read(is_call)
                    except EngineError:
                        if not parser.complete:
                            raise
                        chunk = b""  # a broken or silent connection loses nothing of a complete answer
                    if record:
                        record.add_chunk(chunk)
                    deltas = list(keys.feed(decoder.decode(chunk)))
                    only_arguments = bool(deltas) and all(isinstance(delta, ToolCallDelta) for delta in deltas)
                    arguments = arguments + 1 if only_arguments else 0
                    for delta in merge_adjacent(deltas) if read_pause(is_call) else deltas:
                        yield delta
                    if parser.progress != progress:
                        # Only after the deltas: the time that the reader takes for them does not count as silence.
                        deadlines.token_received()
                if decoder.error:
                    raise decoder.error
            except EngineError:
                for delta in chain(keys.feed(decoder.flush()), keys.flush()):
                    yield delta
                yield keys.mask(parser.completion())
                raise
            finally:
                if record:
                    record.key_in_pieces |= keys.found_in_pieces
            for delta in keys.flush():
                yield delta
            await exchange.drain()
            yield keys.mask(parser.completion())

    @abstractmethod
    def url(self) -> str: ...

    def headers(self) -> Mapping[str, str]:
        """The key as a bearer token, if there is one."""
        return {"authorization": f"Bearer {self._key}"} if self._key else {}

    @abstractmethod
    def request_body(self, request: Request) -> dict[str, Any]: ...

    def drop_refused_field(self, body: dict[str, Any], error: bytes) -> bool:
        """Remove a field that the server has refused, according to its error, and that it can do without. Returns
        whether there was one: then the request is sent again."""
        return False

    @abstractmethod
    def parser(self) -> Parser[Any]: ...


def _encode(body: dict[str, Any]) -> bytes:
    """JSON. A lone surrogate (half of an emoji that was cut in two) becomes a question mark, as UTF-8 cannot hold
    it."""
    try:
        return msgspec.json.encode(body)
    except UnicodeEncodeError:
        return json.dumps(body, ensure_ascii=False).encode("utf-8", "replace")
