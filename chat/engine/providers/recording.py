"""Records an exchange with a provider into two files: NAME.sse, the body as it was received, and NAME.json, its
metadata and the result that replaying it must give. http_provider.py fills it, `nous_ask --record` writes it, replay.py
plays it.

NAME.json holds provider, model, wire ("openai", "anthropic", "gemini", "ollama"), mode ("stream", "http-error"),
status, headers (only those about the format and rate limits), request (the JSON that was sent), url_path, body_bytes,
body_sha256, fidelity, verified_by, and expected: text, thinking, tool_calls, finish_reason, refusal, usage, error.
"""

import hashlib
import re
from collections.abc import Mapping
from contextvars import ContextVar
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from ..exceptions import EngineError, mask
from ..messages import Result

recording: ContextVar["Recording | None"] = ContextVar("recording", default=None)
"""The Recording of the exchanges in this context, if there is one."""

_RECORDED_HEADERS = re.compile(r"content-type|cache-control|transfer-encoding|retry-after.*|(x|anthropic)-ratelimit-.*")


class Recording:
    """The last exchange of a run. A run with retries or tools has several."""

    def __init__(self) -> None:
        self._metadata: dict[str, Any] = {}
        self.chunks: list[bytes] = []
        """The body, in the chunks in which it was read."""
        self.key_in_pieces = False
        """The answer contains the key in several pieces, which cannot be masked in the body."""
        self._key = ""

    def add_request(self, provider: str, model: str, wire: str, url: str, body: bytes, key: str) -> None:
        self._key = key
        self.chunks, self.key_in_pieces = [], False
        parts = urlsplit(url)
        self._metadata = {
            "provider": provider,
            "model": model,
            "wire": wire,
            "mode": "stream",
            "status": None,
            "headers": {},
            "request": _masked(msgspec.json.decode(body), key),
            "url_path": mask(f"{parts.path}?{parts.query}" if parts.query else parts.path, key),
        }

    def add_response(self, status: int, headers: Mapping[str, str]) -> None:
        self._metadata["status"] = status
        self._metadata["mode"] = "stream" if 200 <= status < 300 else "http-error"
        self._metadata["headers"] = {
            name.lower(): value for name, value in headers.items() if _RECORDED_HEADERS.fullmatch(name.lower())
        }

    def add_chunk(self, chunk: bytes) -> None:
        self.chunks.append(chunk)

    def write(self, path: Path, result: Result, error: EngineError | None = None) -> Path:
        """Write both files, named after `path`. Returns the path of the body. Raises OSError, and ValueError if nothing
        was recorded, or if the key cannot be masked."""
        if self._metadata.get("status") is None:
            raise ValueError("nothing was sent over HTTP, or nothing came back")
        if self.key_in_pieces:
            raise ValueError("the answer contains the key, in pieces that cannot be masked")
        name = path.with_suffix("") if path.suffix in (".sse", ".json") else path
        body = self._body()
        metadata = self._metadata | {
            "expected": _expected(result, error),
            "fidelity": "as received; only keys are masked",
            "verified_by": "nous_chat's own parser",
            "body_bytes": len(body),
            "body_sha256": hashlib.sha256(body).hexdigest(),
        }
        name.parent.mkdir(parents=True, exist_ok=True)
        file = name.with_name(f"{name.name}.sse")
        file.write_bytes(body)
        formatted = msgspec.json.format(msgspec.json.encode(metadata), indent=1)
        name.with_name(f"{name.name}.json").write_bytes(formatted + b"\n")
        return file

    def _body(self) -> bytes:
        """Providers quote keys in errors, sometimes shortened, so in an error everything that looks like a key is
        masked. In an answer only the key itself is: a similar string may be a signature."""
        body = b"".join(self.chunks)
        if self._metadata["status"] != 200:
            return mask(body.decode("utf-8", "surrogateescape"), self._key).encode("utf-8", "surrogateescape")
        return body.replace(self._key.encode(), b"***") if len(self._key) > 3 else body


def _masked(value: Any, key: str) -> Any:
    if isinstance(value, str):
        return mask(value, key)
    if isinstance(value, dict):
        return {name: _masked(inner, key) for name, inner in value.items()}
    return [_masked(inner, key) for inner in value] if isinstance(value, list) else value


def _expected(result: Result, error: EngineError | None) -> dict[str, Any]:
    return {
        "text": result.text,
        "thinking": result.thinking,
        "tool_calls": [
            {"id": call.received_id, "name": call.name, "arguments": call.arguments, "arguments_raw": call.raw}
            for call in result.tool_calls
        ],
        "finish_reason": result.finish_reason,
        "refusal": result.refusal,
        "usage": result.usage,
        "error": error and {"code": error.code, "message": error.message},
    }
