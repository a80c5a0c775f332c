"""Files that are sent while they are made."""

from collections.abc import Iterator
from typing import Any, Self

from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, StreamingHttpResponse
from django.utils.cache import add_never_cache_headers

from ..store.executor import run_storage


def download(request: HttpRequest, pieces: Iterator[bytes], kind: str, name: str) -> StreamingHttpResponse:
    """A file of these pieces, with this media type and name."""
    stream: Any = _Pieces(pieces) if isinstance(request, ASGIRequest) else pieces
    response = StreamingHttpResponse(stream, content_type=kind)
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    response.headers["X-Content-Type-Options"] = "nosniff"
    add_never_cache_headers(response)
    return response


class _Pieces:
    """A file as an asynchronous iterator: the next piece is read when the server has sent the one before. Of a
    synchronous one, Django would read everything first.
    """

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        piece = await run_storage(next, self._pieces, b"")
        if not piece:
            raise StopAsyncIteration
        return piece
