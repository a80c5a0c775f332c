"""Files that people attach: uploaded first, sent with a message, served to who is in the conversation, cleaned up."""

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
from django.db.models.functions import Left, Length
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from msgspec import Struct

from ..conf import conf
from ..i18n import format_number
from ..models import Attachment, Message, attachment_storage
from ..protocol import objects
from ..protocol.errors import ErrorCode, Refused
from .base import check_can_post, get_membership, sanitize_text

MAX_UNSENT = 50
"""How many files one person may have uploaded and not sent."""

MAX_FILES_IN_PROMPT = 100
"""How many of the newest attachments a model hears of."""

MAX_IMAGES_IN_PROMPT = 10
"""How many of the newest pictures a model is sent."""

UNSENT_LIFETIME = timedelta(days=1)
MAX_NAME_CHARS = 200
TEXT_TYPE = "text/plain"
SIGNATURES = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
)
"""What the formats begin with that models take and browsers show: a name proves nothing."""


CONTROL_CHARACTER = re.compile(r"[\x00-\x08\x0b\x0e-\x1a\x1c-\x1f]")


def detect_type(content: bytes) -> str:
    """The media type that the first bytes show: of a picture, or TEXT, which it may be."""
    for signature, kind in SIGNATURES:
        if content.startswith(signature):
            return kind
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "image/webp"
    return TEXT_TYPE


def decode_text(content: bytes) -> str:
    """Raises Refused for what is no text."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = "\x00"
    if CONTROL_CHARACTER.search(text):
        raise Refused(
            ErrorCode.INVALID, _("Only pictures (PNG, JPEG, GIF, WebP) and text files in UTF-8 can be attached.")
        )
    return sanitize_text(text)


def upload_attachment(user: Any, conversation_id: UUID, name: str, content: bytes) -> objects.Attachment:
    """Keep a file for a message that is to come. The storage, which may be remote, is written outside transactions."""
    participant = get_membership(user.pk, conversation_id)
    check_can_post(participant)
    kind = detect_type(content)
    largest = conf.TEXT_BYTES if kind == TEXT_TYPE else conf.IMAGE_BYTES
    if len(content) > largest:
        raise Refused(
            ErrorCode.TOO_LARGE,
            _("Such a file may have at most %(most)s bytes; this one has %(length)s.")
            % {"most": format_number(largest), "length": format_number(len(content))},
        )
    if not content:
        raise Refused(ErrorCode.EMPTY, _("The file is empty."))
    text = decode_text(content) if kind == TEXT_TYPE else ""
    if Attachment.objects.filter(uploaded_by=user, message=None).count() >= MAX_UNSENT:
        raise Refused(
            ErrorCode.CONFLICT,
            _("You have uploaded %(count)s files without sending them. Send them, or wait a day.")
            % {"count": MAX_UNSENT},
        )
    stored = attachment_storage().save(f"nous_chat/{uuid.uuid4().hex}", ContentFile(content))
    try:
        row = Attachment.objects.create(
            conversation_id=conversation_id,
            uploaded_by=user,
            file=stored,
            name=_clean_name(name),
            type=kind,
            size=len(content),
            text=text,
        )
    except BaseException:
        attachment_storage().delete(stored)
        raise
    return objects.Attachment.of(row)


def attach_files(message: Message, wanted: Sequence[UUID]) -> None:
    """Send uploaded files with a message, in that order. A part of `post_message`'s transaction."""
    if not wanted:
        return
    if len(wanted) > conf.ATTACHMENTS_PER_MESSAGE:
        raise Refused(
            ErrorCode.TOO_LARGE,
            ngettext(
                "A message may carry at most %(most)s file.",
                "A message may carry at most %(most)s files.",
                conf.ATTACHMENTS_PER_MESSAGE,
            )
            % {"most": conf.ATTACHMENTS_PER_MESSAGE},
        )
    free = Attachment.objects.filter(conversation=message.conversation_id, uploaded_by=message.author_id, message=None)
    rows = {row.pk: row for row in free.filter(pk__in=wanted)}
    if set(rows) != set(wanted):
        raise Refused(
            ErrorCode.NOT_FOUND, _("A file of this message is not there, or was sent already. Attach it again.")
        )
    now = timezone.now()
    for place, key in enumerate(dict.fromkeys(wanted)):
        rows[key].message, rows[key].created_at = message, now + timedelta(microseconds=place)
    Attachment.objects.bulk_update(rows.values(), ["message", "created_at"])


class AttachmentFile(Struct, frozen=True):
    """What the view sends: the file's name in the storage, and what to call it."""

    file: str
    name: str
    type: str


def get_attachment(user_id: Any, attachment_id: UUID) -> AttachmentFile:
    """To who is in the conversation, once it is sent and while its message is not deleted; before that to who uploaded
    it. Raises Refused(NOT_FOUND), whether or not there is one.
    """
    sent = Q(message__isnull=False, message__deleted_at=None) | Q(message=None, uploaded_by=user_id)
    row = Attachment.objects.filter(sent, pk=attachment_id).first()
    try:
        if row is not None:
            get_membership(user_id, row.conversation_id)
            return AttachmentFile(str(row.file.name), row.name, row.type)
    except Refused:
        pass
    raise Refused(ErrorCode.NOT_FOUND, _("There is no such file, or you may not see it."))


def read_files_for_prompt(conversation_id: UUID, before: int, budget: int) -> dict[UUID, list[Attachment]]:
    """What was attached to the newest messages before number `before`, by message: at most MENTIONED. Texts up to
    `budget` characters in all, PICTURES pictures; what is older is mentioned only.
    """
    sent = Attachment.objects.filter(
        conversation=conversation_id, message__shown=True, message__deleted_at=None, message__seq__lt=before
    )
    newest = sent.order_by("-message__seq", "-created_at").annotate(length=Length("text")).defer("text")
    rows: list[Any] = list(newest[:MAX_FILES_IN_PROMPT])
    found: dict[UUID, list[Attachment]] = {}
    pictures = 0
    cut: dict[UUID, int] = {}
    for row in rows:
        if row.is_image:
            pictures += 1
            if pictures > MAX_IMAGES_IN_PROMPT:
                row.type = TEXT_TYPE  # a name is all that is left of it
                row.text = ""
        else:
            row.text = ""
            if budget > 0:
                cut[row.pk] = min(row.length, budget)
                budget -= row.length
        found.setdefault(row.message_id, []).insert(0, row)
    if cut:
        longest = Left("text", max(cut.values()))
        texts = dict(Attachment.objects.filter(pk__in=cut).annotate(part=longest).values_list("pk", "part"))
        for row in rows:
            if row.pk in cut:
                row.text = texts.get(row.pk, "")[: cut[row.pk]]
    return found


def delete_unsent_attachment(user_id: Any, attachment_id: UUID) -> None:
    """Take back a file that was not sent."""
    row = Attachment.objects.filter(pk=attachment_id, uploaded_by=user_id, message=None).first()
    if row is None:
        raise Refused(ErrorCode.NOT_FOUND, _("There is no such file, or it was sent already."))
    row.delete()


def delete_unused_file(name: str) -> None:
    """After a row is gone: its file too, unless another row names it. `signals.py` calls it for each row."""

    def delete() -> None:
        if not Attachment.objects.filter(file=name).exists():
            attachment_storage().delete(name)

    transaction.on_commit(delete, robust=True)


def _clean_name(name: str) -> str:
    """A file's name without folders and without what could break a header or a line."""
    last = posixpath.basename(sanitize_text(name).replace("\\", "/"))
    printable = "".join(char for char in last if char.isprintable()).strip(" .")
    return printable[-MAX_NAME_CHARS:] or "file"
