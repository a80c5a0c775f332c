"""HTTP endpoints: upload, download, and discard attachments. The rules are in store/attachments.py."""

from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.utils.http import content_disposition_header
from django.utils.translation import gettext as _

from .. import ratelimit, store
from ..conf import conf
from ..i18n import format_size
from ..models import attachment_storage
from ..protocol.errors import ErrorCode, Refused
from ..store.executor import run_request
from .endpoint import endpoint, json_response

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "private, max-age=3600",
}
"""Users upload anything. Browsers may show or save a file, but must never run what is in it."""


@endpoint("POST")
async def attachments(request: HttpRequest, conversation_id: UUID) -> HttpResponse:
    file = request.FILES.get("file")
    if file is None:
        raise Refused(ErrorCode.INVALID, "Send the file as the field `file` of a multipart form.")
    # The limit depends on the type, which the store finds by reading the file. This keeps it from reading a huge one.
    largest = max(conf.IMAGE_BYTES, conf.TEXT_BYTES)
    if file.size is None or file.size > largest:
        raise Refused(ErrorCode.TOO_LARGE, _("Files can be up to %(size)s.") % {"size": format_size(largest)})
    name, content = file.name or "", file.read()
    return json_response(201, await run_request(store.upload_attachment, request.user, conversation_id, name, content))


@endpoint("GET", "HEAD", "DELETE", count=ratelimit.check_file)
async def attachment(request: HttpRequest, attachment_id: UUID) -> HttpResponse:
    if request.method == "DELETE":
        await run_request(store.delete_unsent_attachment, request.user.pk, attachment_id)
        return HttpResponse(status=204)
    found = await run_request(store.get_attachment, request.user.pk, attachment_id)
    content = await run_request(_read_file, found.file)
    is_image = found.type.startswith("image/")
    content_type = found.type if is_image else f"{found.type}; charset=utf-8"
    disposition = content_disposition_header(not is_image, found.name)
    headers = HEADERS | ({"Content-Disposition": disposition} if disposition else {})
    return HttpResponse(content, content_type=content_type, headers=headers)


def _read_file(name: str) -> bytes:
    try:
        with attachment_storage().open(name) as file:
            content: bytes = file.read()
            return content
    except FileNotFoundError:
        raise Refused(ErrorCode.NOT_FOUND, _("This file no longer exists.")) from None
