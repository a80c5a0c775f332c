"""Documents that people and agents write together, and the log of their changes."""

import uuid

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from .conversations import MAX_TITLE_CHARS, Conversation
from .runs import Run


class Document(models.Model):
    """A text of a conversation. Its log of updates is the truth; `text` is a snapshot of it, taken now and then."""

    class Kind(models.TextChoices):
        MARKDOWN = "markdown", _("Markdown")
        CODE = "code", _("code")
        CSV = "csv", _("CSV")
        HTML = "html", _("HTML")
        SVG = "svg", _("SVG")
        MERMAID = "mermaid", _("Mermaid")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    conversation = models.ForeignKey(
        Conversation, models.CASCADE, verbose_name=_("conversation"), related_name="documents"
    )
    kind = models.CharField(_("kind"), max_length=10, choices=Kind.choices)
    language = models.CharField(_("language"), max_length=50, blank=True, help_text=_("Of code, such as python."))
    title = models.CharField(_("title"), max_length=MAX_TITLE_CHARS)
    version = models.PositiveIntegerField(_("version"), default=0, help_text=_("The number of the newest update."))
    text = models.TextField(_("text"), blank=True)
    text_version = models.PositiveIntegerField(
        _("version of the text"), default=0, help_text=_("Later updates are only in the log.")
    )
    created_at = models.DateTimeField(_("created"), default=timezone.now)
    updated_at = models.DateTimeField(_("updated"), default=timezone.now)

    class Meta:
        verbose_name = _("document")
        verbose_name_plural = _("documents")
        ordering = ["created_at", "pk"]

    def __str__(self) -> str:
        return self.title


class DocumentUpdate(models.Model):
    """One change of a document, by a user or by a run. Versions begin with 1 and have no gaps."""

    document = models.ForeignKey(Document, models.CASCADE, verbose_name=_("document"), related_name="updates")
    version = models.PositiveIntegerField(_("version"))
    changes = models.JSONField(_("changes"), help_text=_("A change set of CodeMirror."))
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, verbose_name=_("author"), null=True, blank=True, related_name="+"
    )
    run = models.ForeignKey(Run, models.SET_NULL, verbose_name=_("run"), null=True, blank=True, related_name="+")
    client_id = models.UUIDField(_("client ID"), null=True, blank=True, editable=False)
    created_at = models.DateTimeField(_("created"), default=timezone.now)

    class Meta:
        verbose_name = _("document update")
        verbose_name_plural = _("document updates")
        ordering = ["document", "version"]
        constraints = [
            models.UniqueConstraint(fields=["document", "version"], name="nous_chat_document_order"),
            models.UniqueConstraint(fields=["document", "author", "client_id"], name="nous_chat_document_changed_once"),
        ]

    def __str__(self) -> str:
        return str(self.version)  # no text: the conversation may be deleted
