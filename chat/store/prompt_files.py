"""Which attachments a model gets with a prompt, and how much of their texts."""

from typing import Any
from uuid import UUID

from django.db.models.functions import Left, Length

from ..models import Attachment
from .attachments import TEXT_TYPE

MAX_FILES_IN_PROMPT = 100
"""How many of the newest attachments a prompt mentions."""

MAX_IMAGES_IN_PROMPT = 10
"""How many of the newest images a model gets."""

MAX_IMAGE_BYTES_IN_PROMPT = 14 * 1024 * 1024
"""How many bytes they have in all. As base64 they are about 20 MB, Gemini's limit for a request with inline data
(ai.google.dev, "Image understanding"). A run holds them in memory several times while it builds its request.
"""


def read_files_for_prompt(conversation_id: UUID, before: int, budget: int) -> dict[UUID, list[Attachment]]:
    """Attachments of the newest messages before number `before`, by message id: at most MAX_FILES_IN_PROMPT.

    Texts have at most `budget` characters in all, newest first. Files that do not fit, and images beyond the limits
    above, come without content, so that the prompt mentions only their names.
    """
    sent = Attachment.objects.filter(
        conversation=conversation_id, message__shown=True, message__deleted_at=None, message__seq__lt=before
    )
    newest = sent.order_by("-message__seq", "-created_at").annotate(length=Length("text")).defer("text")
    rows: list[Any] = list(newest[:MAX_FILES_IN_PROMPT])
    found: dict[UUID, list[Attachment]] = {}
    images = image_bytes = 0
    lengths: dict[UUID, int] = {}  # of the texts that fit
    for row in rows:
        row.text = ""
        if row.is_image:
            images += 1
            image_bytes += row.size
            if images > MAX_IMAGES_IN_PROMPT or image_bytes > MAX_IMAGE_BYTES_IN_PROMPT:
                row.type = TEXT_TYPE  # the prompt then mentions it as a file without text
        elif budget > 0:
            lengths[row.pk] = min(row.length, budget)
            budget -= row.length
        found.setdefault(row.message_id, []).insert(0, row)
    if lengths:
        # One query for all texts, none of them longer than the longest that fits.
        longest = Left("text", max(lengths.values()))
        texts = dict(Attachment.objects.filter(pk__in=lengths).annotate(part=longest).values_list("pk", "part"))
        for row in rows:
            if row.pk in lengths:
                row.text = texts.get(row.pk, "")[: lengths[row.pk]]
    return found
