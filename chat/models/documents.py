"""Documents that people and agents write together, the log of their changes, and proposals of changes."""

import uuid

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from .conversations import MAX_TITLE_CHARS, Conversation
from .indexes import index_if_set
from .protection import set_null_unless_held
from .runs import Run

MAX_VERSION_NAME_CHARS = 100


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
    field = models.CharField(
        _("field"),
        max_length=100,
        blank=True,
        default="",
        db_default="",
        editable=False,
        help_text=_("Of the object whose room this is: it holds the text, too."),
    )
    settled_version = models.PositiveIntegerField(
        _("settled version"),
        default=0,
        db_default=0,
        editable=False,
        help_text=_("The one that the search finds, and that the field holds."),
    )
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        verbose_name=_("created by"),
        null=True,
        blank=True,
        related_name="+",
        help_text=_("If an agent created it, the person who asked it."),
    )
    client_id = models.UUIDField(_("client ID"), null=True, blank=True, editable=False)
    created_at = models.DateTimeField(_("created"), default=timezone.now)
    updated_at = models.DateTimeField(_("updated"), default=timezone.now)
    writing_run = models.ForeignKey(
        Run,
        models.SET_NULL,
        verbose_name=_("written by the run"),
        null=True,
        blank=True,
        related_name="+",
        db_index=False,
    )
    """The run that has the open range (`documents.open_range`), or had it last. The range is open while it runs."""
    writing_version = models.PositiveIntegerField(null=True, blank=True, editable=False)
    """The version for which the positions of the range are. A process of the release before does not move them."""
    writing_start = models.PositiveIntegerField(null=True, blank=True, editable=False)
    writing_at = models.PositiveIntegerField(null=True, blank=True, editable=False)
    writing_end = models.PositiveIntegerField(null=True, blank=True, editable=False)
    taken_over_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        verbose_name=_("taken over by"),
        null=True,
        blank=True,
        related_name="+",
    )
    """Who has closed the open range of `writing_run`, to write there themselves."""
    deleted_at = models.DateTimeField(_("deleted"), null=True, blank=True, editable=False)

    class Meta:
        verbose_name = _("document")
        verbose_name_plural = _("documents")
        ordering = ["created_at", "pk"]
        indexes = [
            models.Index(
                fields=["updated_at"],
                condition=Q(settled_version__lt=F("version")),
                name="nous_chat_document_unsettled",
            ),
            index_if_set("writing_run", "nous_chat_document_writing"),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["conversation", "created_by", "client_id"], name="nous_chat_document_created_once"
            ),
            models.UniqueConstraint(
                fields=["conversation", "field"], condition=~Q(field=""), name="nous_chat_document_field_once"
            ),
        ]

    def __str__(self) -> str:
        return self.title


class DocumentUpdate(models.Model):
    """One change of a document, by a user or by a run. Versions begin with 1 and have no gaps."""

    document = models.ForeignKey(Document, models.CASCADE, verbose_name=_("document"), related_name="updates")
    version = models.PositiveIntegerField(_("version"))
    changes = models.JSONField(_("changes"), help_text=_("A change set of CodeMirror."))
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        set_null_unless_held,
        verbose_name=_("author"),
        null=True,
        blank=True,
        related_name="+",
    )
    run = models.ForeignKey(
        Run, models.SET_NULL, verbose_name=_("run"), null=True, blank=True, related_name="+", db_index=False
    )
    client_id = models.UUIDField(_("client ID"), null=True, blank=True, editable=False)
    name = models.CharField(
        _("name"), max_length=MAX_VERSION_NAME_CHARS, blank=True, default="", db_default="",
        help_text=_("Of the version that this update makes."),
    )  # fmt: skip
    created_at = models.DateTimeField(_("created"), default=timezone.now)

    class Meta:
        verbose_name = _("document update")
        verbose_name_plural = _("document updates")
        ordering = ["document", "version"]
        indexes = [index_if_set("run", "nous_chat_document_update_run")]
        constraints = [
            models.UniqueConstraint(fields=["document", "version"], name="nous_chat_document_order"),
            models.UniqueConstraint(fields=["document", "author", "client_id"], name="nous_chat_document_changed_once"),
        ]

    def __str__(self) -> str:
        return str(self.version)  # no text: the conversation may be deleted


class DocumentSnapshot(models.Model):
    """The text of a document at one version of many, so that others can be read without the whole log."""

    document = models.ForeignKey(Document, models.CASCADE, verbose_name=_("document"), related_name="snapshots")
    version = models.PositiveIntegerField(_("version"))
    text = models.TextField(_("text"), blank=True)

    class Meta:
        verbose_name = _("document snapshot")
        verbose_name_plural = _("document snapshots")
        ordering = ["document", "version"]
        constraints = [models.UniqueConstraint(fields=["document", "version"], name="nous_chat_document_snapshot_once")]

    def __str__(self) -> str:
        return str(self.version)


class DocumentProposal(models.Model):
    """A change that an agent proposes for a version. When somebody has decided on it, it is erased like what people
    delete: not while a hold covers it.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    document = models.ForeignKey(Document, models.CASCADE, verbose_name=_("document"), related_name="proposals")
    version = models.PositiveIntegerField(_("version"), help_text=_("The one that it would change."))
    changes = models.JSONField(_("changes"), help_text=_("A change set of CodeMirror."))
    run = models.ForeignKey(Run, models.SET_NULL, verbose_name=_("run"), null=True, blank=True, related_name="+")
    created_at = models.DateTimeField(_("created"), default=timezone.now)
    decided_at = models.DateTimeField(_("decided"), null=True, blank=True, editable=False)

    class Meta:
        verbose_name = _("document proposal")
        verbose_name_plural = _("document proposals")
        ordering = ["created_at", "pk"]

    def __str__(self) -> str:
        return str(self.pk)
