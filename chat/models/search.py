"""Passages: what the full-text search finds."""

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from .conversations import Conversation
from .documents import Document
from .messages import Message


class Passage(models.Model):
    """The indexed words of a message, of a document, or, without both, of a conversation's title (see `fulltext.py`).

    Migration 0006 builds the full-text index over this table.
    """

    conversation = models.ForeignKey(
        Conversation, models.CASCADE, verbose_name=_("conversation"), related_name="passages"
    )
    message = models.OneToOneField(
        Message, models.CASCADE, verbose_name=_("message"), null=True, blank=True, related_name="passage"
    )
    document = models.ForeignKey(  # SQLite would rebuild the table for a unique column, without its triggers
        Document, models.CASCADE, verbose_name=_("document"), null=True, blank=True, related_name="passages"
    )
    text = models.TextField(_("text"))

    class Meta:
        verbose_name = _("passage")
        verbose_name_plural = _("passages")
        constraints = [
            models.UniqueConstraint(
                fields=["conversation"], condition=Q(message=None, document=None), name="nous_chat_passage_title_once"
            ),
            models.UniqueConstraint(
                fields=["document"], condition=Q(document__isnull=False), name="nous_chat_passage_document_once"
            ),
        ]

    def __str__(self) -> str:
        return str(self.pk)  # no text: the message may be deleted
