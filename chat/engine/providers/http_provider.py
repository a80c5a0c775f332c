"""What all providers over HTTP share: a Request goes out, the deltas of the answer come back, failures as EngineErrors.
The runner calls `stream`; a vendor's module brings the address, the headers, the body and the parser."""

import json
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Mapping
from typing import Any

import msgspec

from ..connections import connections
from ..exceptions import ConfigurationError, EngineError
from .errors import Failures
from .parser import Delta, Parser
from .provider import Completion, Request
from .recording import recording
from .response_decoder import Body
from .transport import Deadlines, Exchange


class HTTPProvider(ABC):
    """One model behind one address. `key_variable` is where the key came from, for the advice in errors; `wire` names
    the format in recordings."""

    wire: str

    def __init__(self, name: str, model: str, base_url: str, key: str = "", key_variable: str = "the key") -> None:
        if "@" in base_url.partition("://")[2].partition("/")[0]:
            raise ConfigurationError(f"Put the key of {name} into {key_variable}, and none into the base URL.")
        self.name = name
        self.model = model
        self.base_url = base_url.rstrip("/")
        self._key = key
        self._failures = Failures(name, model, self.base_url, key_variable, key)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}:{self.model}>"

    async def stream(self, request: Request) -> AsyncGenerator[Delta | Completion, None]:
        parser = self.parser()
        deadlines = Deadlines(request.limits)
        url, content, tape = self.url(), _encode(self.body(request)), recording.get()
        if tape:
            tape.asked(self.name, self.model, self.wire, url, content, self._key)
        async with connections() as client, Exchange(client, deadlines, self._failures) as exchange:
            response = await exchange.post(url, self.headers(), content)
            if tape:
                tape.answered(response.status_code, response.headers)
            if response.status_code != 200:
                said = await exchange.read_all(64 * 1024)
                if tape:
                    tape.came(said)
                raise self._failures.status(response.status_code, response.headers, said)
            body = Body(parser, self._failures)
            try:
                while not body.done:
                    before = parser.progress
                    chunk = await exchange.read()
                    if tape:
                        tape.came(chunk)
                    deltas = body.take(chunk)
                    for delta in deltas:
                        yield delta
                    if parser.progress != before:  # only now: what the reader took to digest it is no silence
                        deadlines.heard()
                if body.failure:
                    raise body.failure
            except EngineError:
                for delta in parser.flush():
                    yield delta
                yield parser.completion()
                raise
            await exchange.drain()
            yield parser.completion()

    @abstractmethod
    def url(self) -> str: ...

    @abstractmethod
    def headers(self) -> Mapping[str, str]: ...

    @abstractmethod
    def body(self, request: Request) -> dict[str, Any]: ...

    @abstractmethod
    def parser(self) -> Parser: ...


def _encode(body: dict[str, Any]) -> bytes:
    """JSON. Half a character (what is left of an emoji cut in two) becomes a question mark: no wire can carry it."""
    try:
        return msgspec.json.encode(body)
    except UnicodeEncodeError:
        return json.dumps(body, ensure_ascii=False).encode("utf-8", "replace")
