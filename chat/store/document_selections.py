"""The part of a document that a message is about: stored with the message, and quoted to models."""

from typing import Any
from uuid import UUID

import msgspec
from django.utils.translation import gettext as _

from ..documents.changesets import units
from ..models import Message, Run
from ..protocol import commands, objects
from ..protocol.errors import ErrorCode, Refused
from .document_log import document_not_found, document_rows
from .document_snapshots import read_text_at

MAX_SELECTED_CHARS = 8_000
"""How much of a selection is stored. The agent can read the rest with its tools."""


def read_selection(conversation_id: UUID, selection: commands.Selection) -> dict[str, Any]:
    """What is selected, for the column of a message. Raises Refused."""
    row = document_rows(conversation_id).filter(pk=selection.document).first()
    if row is None or selection.version > row.version:
        raise document_not_found()
    text = read_text_at(row, selection.version)
    if not selection.start < selection.end <= units(text):
        raise Refused(ErrorCode.INVALID, _("Select a part of the document first."))
    wide = text.encode("utf-16-le")[2 * selection.start : 2 * selection.end]
    selected = objects.SelectedText(
        document=row.pk,
        version=selection.version,
        start=selection.start,
        end=selection.end,
        title=row.title,
        text=wide.decode("utf-16-le", "ignore")[:MAX_SELECTED_CHARS],
    )
    stored: dict[str, Any] = msgspec.to_builtins(selected)
    return stored


def find_selection(run_id: UUID) -> objects.SelectedText | None:
    """What the question of a run is about: the newest message of the person who asked. None if it has no selection."""
    run = Run.objects.filter(pk=run_id).select_related("message").first()
    if run is None or run.launched_by_id is None:
        return None
    asked = Message.objects.filter(conversation=run.conversation_id, author=run.launched_by_id, deleted_at=None)
    if run.message is not None:
        asked = asked.filter(seq__lt=run.message.seq)
    newest = asked.order_by("-seq").values_list("selection", flat=True).first()
    return objects.SelectedText.of(newest)
