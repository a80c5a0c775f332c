"""Conversations, their participants, and the invitations to them."""

import uuid
from typing import Any

from django.conf import settings
from django.contrib.contenttypes.fields import GenericForeignKey
from django.contrib.contenttypes.models import ContentType
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from .protection import cascade_unless_held

MAX_TITLE_CHARS = 200


class Conversation(models.Model):
    """Participants, agents, and a numbered sequence of messages."""

    class Answers(models.TextChoices):
        """Which messages get an answer."""

        ALWAYS = "always", _("every message")
        MENTION = "mention", _("when mentioned")
        OFF = "off", _("never")

    class Mode(models.TextChoices):
        """What a message does while a run is active."""

        INTERRUPT = "interrupt", _("interrupts it")
        QUEUE = "queue", _("waits until it is complete")

    class TitleFrom(models.TextChoices):
        """What the title was made from. A title that a user wrote is never replaced."""

        NOTHING = "", _("none")
        WORDS = "words", _("first words")
        MODEL = "model", _("model")
        PERSON = "person", _("user")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    title = models.CharField(_("title"), max_length=MAX_TITLE_CHARS, blank=True)
    title_from = models.CharField(
        _("title source"),
        max_length=10,
        choices=TitleFrom.choices,
        default=TitleFrom.NOTHING,
        blank=True,
        editable=False,
    )
    agent = models.CharField(_("agent"), max_length=100, help_text=_("Slug of an agent in the settings."))
    other_agents = models.JSONField(
        _("other agents"), default=list, blank=True, help_text=_("Slugs of agents in the settings.")
    )
    answers = models.CharField(
        _("agents answer"),
        max_length=10,
        choices=Answers.choices,
        blank=True,
        help_text=_("If empty: every message while one user can write, otherwise when mentioned."),
    )
    mode = models.CharField(_("message during an answer"), max_length=10, choices=Mode.choices, default=Mode.INTERRUPT)
    # In order, each as [slug, id of the user who asked, number of the message].
    waiting = models.JSONField(_("agents waiting to answer"), default=list, blank=True, editable=False)
    last_seq = models.PositiveIntegerField(_("last message number"), default=0)
    summary = models.TextField(
        _("summary"),
        blank=True,
        editable=False,
        help_text=_("Stands for the messages that no longer fit into a model's context."),
    )
    summary_seq = models.PositiveIntegerField(_("last summarized message"), default=0, editable=False)
    # Of the room of an object of the site (store/rooms.py). With `db_default`, processes that do not know these fields
    # yet can create conversations while a deployment replaces them.
    content_type = models.ForeignKey(
        ContentType,
        models.SET_NULL,
        verbose_name=_("object type"),
        null=True,
        blank=True,
        editable=False,
        related_name="+",
        db_index=False,  # the constraint has an index that begins with it
    )
    object_id = models.CharField(_("object ID"), max_length=255, blank=True, default="", db_default="", editable=False)
    object = GenericForeignKey("content_type", "object_id")
    object_url = models.CharField(
        _("object link"), max_length=500, blank=True, default="", db_default="", editable=False
    )
    listed = models.BooleanField(
        _("listed"),
        default=True,
        db_default=True,
        editable=False,
        help_text=_("Whether it is in its participants' lists and search results."),
    )
    created_at = models.DateTimeField(_("created"), default=timezone.now)
    updated_at = models.DateTimeField(_("updated"), default=timezone.now, db_index=True)
    deleted_at = models.DateTimeField(_("deleted"), null=True, blank=True, editable=False)
    expires_at = models.DateTimeField(
        _("expires"),
        null=True,
        blank=True,
        editable=False,
        db_index=True,
        help_text=_("When it is erased by itself. If empty: never."),
    )
    people: "models.ManyToManyField[Any, Any]" = models.ManyToManyField(
        settings.AUTH_USER_MODEL, through="Participant", related_name="nous_conversations"
    )

    class Meta:
        verbose_name = _("conversation")
        verbose_name_plural = _("conversations")
        ordering = ["-updated_at"]
        indexes = [models.Index(fields=["created_at", "id"], name="nous_chat_conversation_order")]
        constraints = [models.UniqueConstraint(fields=["content_type", "object_id"], name="nous_chat_one_room")]
        permissions = [
            ("view_transcript", "Can read transcripts"),
            ("export_transcript", "Can export conversations"),
            ("manage_retention", "Can place and release holds, and erase users"),
        ]

    def __str__(self) -> str:
        return str(_("(deleted)")) if self.deleted_at else self.title or str(_("New conversation"))

    @property
    def is_room(self) -> bool:
        """True if it belongs to an object of the site, whose rule decides who takes part."""
        return self.content_type_id is not None

    @property
    def agents(self) -> list[str]:
        """The slugs of all agents. The first one answers messages that address none."""
        return [self.agent, *self.other_agents]

    def answers_for(self, writers: int) -> str:
        """Which messages get an answer while `writers` participants can write."""
        return self.answers or (self.Answers.ALWAYS if writers < 2 else self.Answers.MENTION)


class Participant(models.Model):
    """A user's membership in a conversation, and what is only theirs: read marker, pin, archive."""

    class Role(models.TextChoices):
        OWNER = "owner", _("owner")
        MEMBER = "member", _("member")
        VIEWER = "viewer", _("viewer")

    conversation = models.ForeignKey(
        Conversation, cascade_unless_held, verbose_name=_("conversation"), related_name="participants"
    )
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, cascade_unless_held, verbose_name=_("user"), related_name="nous_participations"
    )
    role = models.CharField(_("role"), max_length=10, choices=Role.choices, default=Role.MEMBER)
    joined_at = models.DateTimeField(_("joined"), default=timezone.now)
    last_read = models.PositiveIntegerField(_("last message read"), default=0, editable=False)
    pinned = models.BooleanField(_("pinned"), default=False, editable=False)
    archived = models.BooleanField(_("archived"), default=False, editable=False)

    class Meta:
        verbose_name = _("participant")
        verbose_name_plural = _("participants")
        ordering = ["joined_at", "pk"]
        constraints = [models.UniqueConstraint(fields=["conversation", "user"], name="nous_chat_participant_once")]

    def __str__(self) -> str:
        return f"{self.user} ({self.get_role_display()})"


class Removal(models.Model):
    """Marks a user as removed by someone else: invitation links do not work for them until they are re-added by name.

    It has no effect while the user is a participant, and is deleted when they leave by themselves.
    """

    conversation = models.ForeignKey(
        Conversation, models.CASCADE, verbose_name=_("conversation"), related_name="removals"
    )
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, verbose_name=_("user"), related_name="nous_removals"
    )
    removed_at = models.DateTimeField(_("removed"), default=timezone.now)

    class Meta:
        verbose_name = _("removal")
        verbose_name_plural = _("removals")
        constraints = [models.UniqueConstraint(fields=["conversation", "user"], name="nous_chat_removal_once")]

    def __str__(self) -> str:
        return f"{self.user}, {self.removed_at:%Y-%m-%d %H:%M}"


class Invitation(models.Model):
    """An invitation link. Its token is the signed id (`store/invitations.py`), so reading the table reveals no link."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    conversation = models.ForeignKey(
        Conversation, models.CASCADE, verbose_name=_("conversation"), related_name="invitations"
    )
    role = models.CharField(_("role"), max_length=10, choices=Participant.Role.choices, default=Participant.Role.MEMBER)
    max_uses = models.PositiveIntegerField(_("maximum uses"), null=True, blank=True)
    uses = models.PositiveIntegerField(_("uses"), default=0)
    expires_at = models.DateTimeField(_("expires"))
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, verbose_name=_("created by"), related_name="nous_invitations"
    )
    created_at = models.DateTimeField(_("created"), default=timezone.now)

    class Meta:
        verbose_name = _("invitation")
        verbose_name_plural = _("invitations")
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return f"{self.get_role_display()}, {self.expires_at:%Y-%m-%d %H:%M}"
