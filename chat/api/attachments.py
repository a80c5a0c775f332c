"""HTTP endpoints: upload, download, and discard attachments. The rules are in store/attachments.py."""

from typing import Self
from uuid import UUID

from django.core.files.base import File
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.utils.http import content_disposition_header
from django.utils.translation import gettext as _

from .. import ratelimit, store
from ..conf import conf
from ..i18n import format_size
from ..models import attachment_storage
from ..node.http import MAX_BODY
from ..protocol.errors import ErrorCode, Refused
from ..store.executor import run_request, run_storage
from .endpoint import body_length, endpoint, json_response

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "private, max-age=3600",
}
"""Users upload anything. Browsers may show or save a file, but must never run what is in it."""


UPLOAD_BYTES_PER_TOKEN = 1024 * 1024
"""So many bytes of an upload cost as much as one command, besides the request: checking them takes time."""

CHUNK = 256 * 1024
"""How many bytes of a file are in memory at a time, for each reader. A piece costs 0.25 ms to read, whatever its size,
and the system takes 3 MB of a file at once for somebody who does not read it.
"""


@endpoint("POST")
async def attachments(request: HttpRequest, conversation_id: UUID) -> HttpResponse:
    # The limit depends on the type, which the store finds by reading the file. This keeps it from reading a huge one.
    largest = max(conf.IMAGE_BYTES, conf.TEXT_BYTES)
    file = request.FILES.get("file")
    if (body_length(request) - MAX_BODY if file is None else file.size or 0) > largest:
        raise Refused(ErrorCode.TOO_LARGE, _("Files can be up to %(size)s.") % {"size": format_size(largest)})
    if file is None:
        raise Refused(ErrorCode.INVALID, "Send the file as the field `file` of a multipart form.")
    ratelimit.check(request.user.pk, len(file) / UPLOAD_BYTES_PER_TOKEN)
    name, content = file.name or "", file.read()
    return json_response(201, await run_storage(store.upload_attachment, request.user, conversation_id, name, content))


@endpoint("GET", "HEAD", "DELETE", count=ratelimit.check_file)
async def attachment(request: HttpRequest, attachment_id: UUID) -> HttpResponseBase:
    if request.method == "DELETE":
        await run_request(store.delete_unsent_attachment, request.user.pk, attachment_id)
        return HttpResponse(status=204)
    found = await run_request(store.get_attachment, request.user.pk, attachment_id)
    file, size = await run_storage(_open, found.file)
    is_image = found.type.startswith("image/")
    content_type = found.type if is_image else f"{found.type}; charset=utf-8"
    headers = HEADERS | {"Content-Length": str(size)}
    if disposition := content_disposition_header(not is_image, found.name):
        headers["Content-Disposition"] = disposition
    if request.method == "HEAD":
        await run_storage(file.close)
        return HttpResponse(content_type=content_type, headers=headers)
    return StreamingHttpResponse(FileChunks(file), content_type=content_type, headers=headers)


def _open(name: str) -> "tuple[File[bytes], int]":
    """A file in the storage, and its size."""
    try:
        file = attachment_storage().open(name)
        return file, file.size
    except FileNotFoundError:
        raise Refused(ErrorCode.NOT_FOUND, _("This file no longer exists.")) from None


class FileChunks:
    """An open file as an asynchronous iterator: the next piece is read when the server has sent the one before.

    Not FileResponse: under ASGI, Django reads a synchronous iterator to its end before it sends anything.
    """

    def __init__(self, file: "File[bytes]") -> None:
        self._file = file

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        chunk: bytes = await run_storage(self._file.read, CHUNK)
        if not chunk:
            raise StopAsyncIteration
        return chunk

    def close(self) -> None:
        """Called by the response when it is closed, also if the client has gone."""
        self._file.close()
