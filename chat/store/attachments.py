"""Attachments: upload a file, send it with a message, serve it to participants, delete it."""

import posixpath
import re
import uuid
from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.core.files.base import ContentFile
from django.db import transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from msgspec import Struct

from .. import database
from ..conf import conf
from ..i18n import format_millions, format_size
from ..models import Attachment, Message, attachment_storage
from ..permissions import is_guest
from ..protocol import objects
from ..protocol.errors import ErrorCode, Refused
from .base import check_can_post, get_membership
from .holds import is_held
from .images import InvalidImage, clean_image, detect_image_type
from .quotas import check_new_file
from .text import sanitize_text
from .unit_of_work import unit_of_work

MAX_UNSENT = 50
"""How many uploaded files a user can have that no message was sent with."""

UNSENT_LIFETIME = timedelta(days=1)
MAX_NAME_CHARS = 200
TEXT_TYPE = "text/plain"

ANIMATION_FACTOR = 10
"""How many times IMAGE_PIXELS all frames of an animation together may have."""

CONTROL_CHARACTER = re.compile(r"[\x00-\x08\x0b\x0e-\x1a\x1c-\x1f]")


def upload_attachment(user: Any, conversation_id: UUID, name: str, content: bytes) -> objects.Attachment:
    """Store a file for a message that will be sent later. Raises Refused."""
    check_can_post(get_membership(user.pk, conversation_id))
    if is_guest(user):
        raise Refused(ErrorCode.FORBIDDEN, _("Sign in to attach files."))
    kind = detect_image_type(content) or TEXT_TYPE
    _check_size(kind, len(content))
    text = ""
    if kind == TEXT_TYPE:
        text = decode_text(content)
    else:
        content = _clean_image(content, kind)
    row = _create_unsent(
        Attachment(
            conversation_id=conversation_id,
            uploaded_by=user,
            file=f"nous_chat/{uuid.uuid4().hex}",
            name=_clean_name(name),
            type=kind,
            size=len(content),
            text=text,
        )
    )
    try:
        # Outside a transaction, because the storage may be remote and slow. After the row exists, so that the limits
        # hold before anything is stored, and a file that a crash leaves behind is erased with the row.
        stored = attachment_storage().save(str(row.file.name), ContentFile(content))
        if stored != row.file.name:  # a storage may choose another name
            row.file.name = stored
            row.save(update_fields=["file"])
    except BaseException:
        row.delete()
        raise
    return objects.Attachment.of(row)


def _check_size(kind: str, size: int) -> None:
    if not size:
        raise Refused(ErrorCode.EMPTY, _("The file is empty."))
    if kind == TEXT_TYPE and size > conf.TEXT_BYTES:
        raise Refused(
            ErrorCode.TOO_LARGE, _("Text files can be up to %(size)s.") % {"size": format_size(conf.TEXT_BYTES)}
        )
    if kind != TEXT_TYPE and size > conf.IMAGE_BYTES:
        raise Refused(
            ErrorCode.TOO_LARGE, _("Pictures can be up to %(size)s.") % {"size": format_size(conf.IMAGE_BYTES)}
        )


def _clean_image(content: bytes, kind: str) -> bytes:
    """The image without metadata. Raises Refused if it is damaged, or takes too much memory or time to draw."""
    try:
        image = clean_image(content, kind)
    except InvalidImage:
        raise Refused(ErrorCode.INVALID, _("This picture is damaged. Save it again, or choose another one.")) from None
    pixels = image.width * image.height
    if pixels > conf.IMAGE_PIXELS:
        raise Refused(
            ErrorCode.TOO_LARGE,
            _("Pictures can have up to %(most)s megapixels. This one has %(size)s. Make it smaller first.")
            % {"most": format_millions(conf.IMAGE_PIXELS), "size": format_millions(pixels)},
        )
    if image.frames > 1 and pixels * image.frames > ANIMATION_FACTOR * conf.IMAGE_PIXELS:
        raise Refused(
            ErrorCode.TOO_LARGE,
            _("All frames of an animation can have up to %(most)s megapixels together. These have %(size)s.")
            % {
                "most": format_millions(ANIMATION_FACTOR * conf.IMAGE_PIXELS),
                "size": format_millions(pixels * image.frames),
            },
        )
    return image.content


@unit_of_work()
def _create_unsent(row: Attachment) -> Attachment:
    """Save a new row, if its user has room for it. Raises Refused."""
    check_new_file(row.uploaded_by_id, row.size)  # locks the user, so that parallel uploads are counted as well
    if Attachment.objects.filter(uploaded_by=row.uploaded_by_id, message=None).count() >= MAX_UNSENT:
        raise Refused(
            ErrorCode.CONFLICT,
            _("You have uploaded %(count)s files without sending them. Send them, or wait a day.")
            % {"count": MAX_UNSENT},
        )
    row.save(force_insert=True)
    return row


def decode_text(content: bytes) -> str:
    """The text of a file. Raises Refused if it is not text in UTF-8."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = "\x00"
    if CONTROL_CHARACTER.search(text):
        raise Refused(
            ErrorCode.INVALID, _("Only pictures (PNG, JPEG, GIF, WebP) and text files in UTF-8 can be attached.")
        )
    return sanitize_text(text)


def _clean_name(name: str) -> str:
    """A file name without folders, and without characters that could break a header or a line."""
    last = posixpath.basename(sanitize_text(name).replace("\\", "/"))
    printable = "".join(char for char in last if char.isprintable()).strip(" .")
    return printable[-MAX_NAME_CHARS:] or "file"


def attach_files(message: Message, wanted: Sequence[UUID]) -> None:
    """Send uploaded files with a message, in this order, inside the transaction of `post_message`."""
    if not wanted:
        return
    if len(wanted) > conf.ATTACHMENTS_PER_MESSAGE:
        raise Refused(
            ErrorCode.TOO_LARGE,
            ngettext(
                "A message can have up to %(most)s file.",
                "A message can have up to %(most)s files.",
                conf.ATTACHMENTS_PER_MESSAGE,
            )
            % {"most": conf.ATTACHMENTS_PER_MESSAGE},
        )
    unsent = Attachment.objects.filter(
        conversation=message.conversation_id, uploaded_by=message.author_id, message=None
    )
    rows = {row.pk: row for row in unsent.filter(pk__in=wanted)}
    if set(rows) != set(wanted):
        raise Refused(ErrorCode.NOT_FOUND, _("A file has expired or was sent already. Attach it again."))
    now = timezone.now()
    for index, key in enumerate(dict.fromkeys(wanted)):
        rows[key].message, rows[key].created_at = message, now + timedelta(microseconds=index)  # which orders them
    Attachment.objects.bulk_update(rows.values(), ["message", "created_at"])


class AttachmentFile(Struct, frozen=True):
    """What the view sends: the file's name in the storage, the name to download it as, and its media type."""

    file: str
    name: str
    type: str


def get_attachment(user_id: Any, attachment_id: UUID) -> AttachmentFile:
    """A file that the user may download: a sent one as a participant, unless its message is deleted; an unsent one as
    its uploader.

    Raises Refused(NOT_FOUND), with the same sentence whether or not the file exists.
    """
    visible = Q(message__isnull=False, message__deleted_at=None) | Q(message=None, uploaded_by=user_id)
    row = Attachment.objects.filter(visible, pk=attachment_id).first()
    try:
        if row is not None:
            get_membership(user_id, row.conversation_id)
            return AttachmentFile(str(row.file.name), row.name, row.type)
    except Refused:
        pass
    raise Refused(ErrorCode.NOT_FOUND, _("This file does not exist, or you can't see it."))


def delete_unsent_attachment(user_id: Any, attachment_id: UUID) -> None:
    """Delete a file that its uploader will not send; under a hold, it is kept until that ends. Raises
    Refused(NOT_FOUND).
    """
    row = Attachment.objects.filter(pk=attachment_id, uploaded_by=user_id, message=None).first()
    if row is None:
        raise Refused(ErrorCode.NOT_FOUND, _("This file does not exist any more, or was sent already."))
    if not is_held(row.conversation_id):
        row.delete()


def delete_unused_file(name: str) -> None:
    """Delete a file from the storage after the commit, unless another row still names it (a fork shares files).

    Called by `signal_handlers` for each deleted row.
    """

    def delete() -> None:
        if not Attachment.objects.filter(file=name).exists():
            attachment_storage().delete(name)

    transaction.on_commit(delete, using=database.alias(), robust=True)
