"""The passages that search finds."""

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from .conversations import Conversation
from .messages import Message


class Passage(models.Model):
    """What the search finds: the title of a conversation, or the text of a message, in the folded form of `search.py`.
    SQLite's FTS5 and PostgreSQL's full text index are over this table (a migration).
    """

    conversation = models.ForeignKey(
        Conversation, models.CASCADE, verbose_name=_("conversation"), related_name="passages"
    )
    message = models.OneToOneField(
        Message, models.CASCADE, verbose_name=_("message"), null=True, blank=True, related_name="passage"
    )
    text = models.TextField(_("text"))

    class Meta:
        verbose_name = _("passage")
        verbose_name_plural = _("passages")
        constraints = [
            models.UniqueConstraint(
                fields=["conversation"], condition=Q(message=None), name="nous_chat_passage_title_once"
            )
        ]

    def __str__(self) -> str:
        return self.text[:60]
