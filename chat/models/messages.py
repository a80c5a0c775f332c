"""Messages, their earlier texts, and their attachments."""

import uuid

from django.conf import settings
from django.core.files.storage import Storage, storages
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from ..conf import conf
from ..graphemes import cut
from .conversations import Conversation
from .indexes import index_if_set
from .protection import cascade_unless_held, set_null_unless_held


class Message(models.Model):
    """One message. The row of an answer is created when its run starts; checkpoints store the text as it grows."""

    class Role(models.TextChoices):
        USER = "user", _("user")
        ASSISTANT = "assistant", _("assistant")
        SYSTEM = "system", _("system")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    conversation = models.ForeignKey(
        Conversation, cascade_unless_held, verbose_name=_("conversation"), related_name="messages"
    )
    seq = models.PositiveIntegerField(_("number"))
    role = models.CharField(_("role"), max_length=10, choices=Role.choices)
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        set_null_unless_held,
        verbose_name=_("author"),
        null=True,
        blank=True,
        related_name="nous_messages",
    )
    text = models.TextField(_("text"), blank=True)
    thinking = models.TextField(_("thinking"), blank=True)
    parts = models.JSONField(
        _("parts"),
        null=True,
        blank=True,
        editable=False,
        help_text=_("In which order text, thinking, and tool calls came, by length; empty in old answers."),
    )
    client_id = models.UUIDField(_("client ID"), null=True, blank=True, editable=False)
    selection = models.JSONField(
        _("selection"),
        null=True,
        blank=True,
        editable=False,
        help_text=_("The part of a document that the message is about, with its text."),
    )
    reply_to = models.ForeignKey(
        "self", models.SET_NULL, verbose_name=_("reply to"), null=True, blank=True, related_name="+", db_index=False
    )
    replaces = models.OneToOneField(
        "self",
        models.SET_NULL,
        verbose_name=_("replaced answer"),
        null=True,
        blank=True,
        related_name="replaced_by",
        editable=False,
        help_text=_("The answer that this message continues."),
    )
    alternative_of = models.ForeignKey(
        "self",
        models.SET_NULL,
        verbose_name=_("alternative of"),
        null=True,
        blank=True,
        related_name="alternatives",
        editable=False,
        db_index=False,
        help_text=_("The first of the alternative answers to the same question."),
    )
    shown = models.BooleanField(
        _("shown"),
        default=True,
        editable=False,
        help_text=_(
            "Off if another alternative is chosen, the answer continues in another message, or its question changed."
        ),
    )
    created_at = models.DateTimeField(_("created"), default=timezone.now)
    edited_at = models.DateTimeField(_("edited"), null=True, blank=True, editable=False)
    deleted_at = models.DateTimeField(_("deleted"), null=True, blank=True, editable=False)
    deleted_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        verbose_name=_("deleted by"),
        null=True,
        blank=True,
        related_name="+",
        editable=False,
    )

    class Meta:
        verbose_name = _("message")
        verbose_name_plural = _("messages")
        ordering = ["conversation", "seq"]
        indexes = [
            models.Index(  # over the messages that count as unread (store/read_state.py)
                fields=["conversation", "seq"],
                condition=Q(shown=True, deleted_at=None) & ~Q(role="system"),
                name="nous_chat_message_counts",
            ),
            models.Index(  # over those whose contents are to be erased (store/retention.py)
                fields=["deleted_at"], condition=Q(deleted_at__isnull=False), name="nous_chat_message_deleted"
            ),
            index_if_set("reply_to", "nous_chat_message_replies"),
            index_if_set("replaces", "nous_chat_message_replaces"),
            index_if_set("alternative_of", "nous_chat_message_alternatives"),
        ]
        constraints = [
            models.UniqueConstraint(fields=["conversation", "seq"], name="nous_chat_message_order"),
            models.UniqueConstraint(fields=["conversation", "author", "client_id"], name="nous_chat_message_sent_once"),
        ]

    def __str__(self) -> str:
        return f"{self.seq}: {_('(deleted)') if self.deleted_at else cut(self.text, 60)}"


class Edit(models.Model):
    """The text of a message before an edit."""

    message = models.ForeignKey(Message, models.CASCADE, verbose_name=_("message"), related_name="edits")
    text = models.TextField(_("previous text"), blank=True)
    edited_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, verbose_name=_("edited by"), null=True, related_name="+"
    )
    edited_at = models.DateTimeField(_("edited"), default=timezone.now)

    class Meta:
        verbose_name = _("edit")
        verbose_name_plural = _("edits")
        ordering = ["message", "pk"]

    def __str__(self) -> str:
        return f"{self.edited_at:%Y-%m-%d %H:%M}"  # no text: the message may be deleted


class Feedback(models.Model):
    """What a reader thinks of an answer."""

    class Rating(models.TextChoices):
        GOOD = "good", _("good")
        BAD = "bad", _("bad")

    message = models.ForeignKey(Message, models.CASCADE, verbose_name=_("message"), related_name="feedback")
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, verbose_name=_("user"), related_name="nous_feedback"
    )
    rating = models.CharField(_("rating"), max_length=10, choices=Rating.choices)
    comment = models.TextField(_("comment"), blank=True)
    given_at = models.DateTimeField(_("given"), default=timezone.now)

    class Meta:
        verbose_name = _("feedback")
        verbose_name_plural = _("feedback")
        constraints = [models.UniqueConstraint(fields=["message", "user"], name="nous_chat_feedback_once")]

    def __str__(self) -> str:
        return str(self.get_rating_display())  # no comment: it is content


def attachment_storage() -> Storage:
    """The storage of attachments. Migration 0003 refers to it by this name."""
    return storages[conf.STORAGE]


class Attachment(models.Model):
    """A picture or a text file. It is uploaded to a conversation first, and then sent with a message.

    The rows of a fork share the files of the original, so a file is deleted with its last row.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    conversation = models.ForeignKey(
        Conversation, models.CASCADE, verbose_name=_("conversation"), related_name="attachments"
    )
    message = models.ForeignKey(
        Message, models.CASCADE, verbose_name=_("message"), null=True, blank=True, related_name="attachments"
    )
    uploaded_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, set_null_unless_held, verbose_name=_("uploaded by"), null=True, related_name="+"
    )
    file = models.FileField(_("file"), storage=attachment_storage, max_length=200)
    name = models.CharField(_("name"), max_length=200)
    type = models.CharField(_("type"), max_length=50)
    size = models.PositiveIntegerField(_("size in bytes"))
    text = models.TextField(_("text"), blank=True, editable=False, help_text=_("What models receive of a text file."))
    created_at = models.DateTimeField(_("uploaded"), default=timezone.now)

    class Meta:
        verbose_name = _("attachment")
        verbose_name_plural = _("attachments")
        ordering = ["created_at", "pk"]
        indexes = [
            models.Index(fields=["file"], name="nous_chat_attachment_file"),
            models.Index(fields=["uploaded_by", "file", "size"], name="nous_chat_attachment_storage"),
        ]

    def __str__(self) -> str:
        return f"{self.type}, {self.created_at:%Y-%m-%d %H:%M}"  # no name: the message may be deleted

    @property
    def is_image(self) -> bool:
        return self.type.startswith("image/")
