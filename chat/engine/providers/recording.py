"""An exchange with a provider into two files: NAME.sse, the body as it came, and NAME.json, what it is and what it must
yield. base.py notes it while it happens, `nous_ask --record` writes it, replay.py plays it.

NAME.json holds provider, model, wire ("openai", "anthropic", "gemini", "ollama"), mode ("stream", "http-error"),
status, headers (only those that tell of the format and of limits), request (the JSON that was sent), url_path,
body_bytes, body_sha256, and expected: text, thinking, tool_calls, finish_reason, refusal, usage, error.
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
"""Where the exchanges of this context are noted, if anywhere."""

_TELLING = re.compile(r"content-type|cache-control|transfer-encoding|retry-after.*|(x|anthropic)-ratelimit-.*")


class Recording:
    """The last exchange of a run: with retries and tools there are several."""

    def __init__(self) -> None:
        self._about: dict[str, Any] = {}
        self.chunks: list[bytes] = []
        """The body, in the pieces in which it was read."""
        self._key = ""

    def asked(self, provider: str, model: str, wire: str, url: str, body: bytes, key: str) -> None:
        self._key = key
        self.chunks = []
        parts = urlsplit(url)
        self._about = {
            "provider": provider,
            "model": model,
            "wire": wire,
            "mode": "stream",
            "status": None,
            "headers": {},
            "request": _masked(msgspec.json.decode(body), key),
            "url_path": mask(f"{parts.path}?{parts.query}" if parts.query else parts.path, key),
        }

    def answered(self, status: int, headers: Mapping[str, str]) -> None:
        self._about["status"] = status
        self._about["mode"] = "stream" if status == 200 else "http-error"
        self._about["headers"] = {
            name.lower(): value for name, value in headers.items() if _TELLING.fullmatch(name.lower())
        }

    def came(self, chunk: bytes) -> None:
        self.chunks.append(chunk)

    def write(self, path: Path, result: Result, error: EngineError | None = None) -> Path:
        """Both files, named after `path`; the address of the body. Raises OSError, and ValueError if nothing came."""
        if self._about.get("status") is None:
            raise ValueError("nothing was sent over HTTP, or nothing came back")
        name = path.with_suffix("") if path.suffix in (".sse", ".json") else path
        body = self._body()
        about = self._about | {
            "expected": _expected(result, error),
            "fidelity": "as it came; only keys are masked",
            "verified_by": "nous_chat's own parser",
            "body_bytes": len(body),
            "body_sha256": hashlib.sha256(body).hexdigest(),
        }
        name.parent.mkdir(parents=True, exist_ok=True)
        file = name.with_name(f"{name.name}.sse")
        file.write_bytes(body)
        told = msgspec.json.format(msgspec.json.encode(about), indent=1)
        name.with_name(f"{name.name}.json").write_bytes(told + b"\n")
        return file

    def _body(self) -> bytes:
        """Errors quote keys, and not only whole ones; in an answer only the key itself is one: what looks like one may
        be a signature."""
        body = b"".join(self.chunks)
        if self._about["status"] != 200:
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
            {"id": call.id, "name": call.name, "arguments": call.arguments, "arguments_raw": call.raw}
            for call in result.tool_calls
        ],
        "finish_reason": result.finish_reason,
        "refusal": result.refusal,
        "usage": result.usage,
        "error": error and {"code": error.code, "message": error.message},
    }
