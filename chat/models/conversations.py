"""The rows: Conversation, Participant, Removal, Invitation, Message, Edit, Attachment, Passage, Run, ToolCall and
Spending. `store` alone writes them.
"""

import uuid
from typing import Any

from django.conf import settings
from django.core.files.storage import Storage, storages
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from ..conf import conf
from ..engine import AT_LIMIT


class Conversation(models.Model):
    """A room: people, their agents, and what they said in order."""

    class Answers(models.TextChoices):
        """When an agent answers by itself."""

        ALWAYS = "always", _("every message")
        MENTION = "mention", _("when it is asked")
        OFF = "off", _("never")

    class Mode(models.TextChoices):
        """What a message does while a run is active."""

        INTERRUPT = "interrupt", _("interrupt")
        QUEUE = "queue", _("queue")

    class TitleFrom(models.TextChoices):
        """Where the title is from. What a person wrote is never overwritten."""

        NOTHING = "", _("there is none")
        WORDS = "words", _("the first words")
        MODEL = "model", _("a model")
        PERSON = "person", _("a person")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    title = models.CharField(_("title"), max_length=200, blank=True)
    title_from = models.CharField(
        _("title from"), max_length=10, choices=TitleFrom.choices, default=TitleFrom.NOTHING, blank=True, editable=False
    )
    agent = models.CharField(_("agent"), max_length=100, help_text=_("slug of an agent in the settings"))
    other_agents = models.JSONField(
        _("other agents"), default=list, blank=True, help_text=_("slugs, as in the settings")
    )
    answers = models.CharField(
        _("agents answer"),
        max_length=10,
        choices=Answers.choices,
        blank=True,
        help_text=_("empty: every message of one person alone, among several when they are asked"),
    )
    mode = models.CharField(_("mode"), max_length=10, choices=Mode.choices, default=Mode.INTERRUPT)
    waiting = models.JSONField(
        _("agents that have yet to answer"), default=list, blank=True, editable=False
    )  # [slug, who asked, number of the message], in the order in which they were asked
    last_seq = models.PositiveIntegerField(_("last message number"), default=0)
    summary = models.TextField(
        _("summary"), blank=True, editable=False, help_text=_("of what no longer fits into a model's history")
    )
    summary_seq = models.PositiveIntegerField(_("the summary's last message"), default=0, editable=False)
    created_at = models.DateTimeField(_("created"), default=timezone.now)
    updated_at = models.DateTimeField(_("last change"), default=timezone.now, db_index=True)
    deleted_at = models.DateTimeField(_("deleted"), null=True, blank=True, editable=False)
    people: "models.ManyToManyField[Any, Any]" = models.ManyToManyField(
        settings.AUTH_USER_MODEL, through="Participant", related_name="nous_conversations"
    )

    class Meta:
        verbose_name = _("conversation")
        verbose_name_plural = _("conversations")
        ordering = ["-updated_at"]

    def __str__(self) -> str:
        return self.title or str(_("New conversation"))

    @property
    def agents(self) -> list[str]:
        """The slugs of all agents in it; the first is who answers where none is named."""
        return [self.agent, *self.other_agents]

    def answers_of(self, talkers: int) -> str:
        """When an agent answers by itself, with this many people who may write."""
        return self.answers or (self.Answers.ALWAYS if talkers < 2 else self.Answers.MENTION)


class Participant(models.Model):
    """A person's membership in a conversation."""

    class Role(models.TextChoices):
        OWNER = "owner", _("owner")
        MEMBER = "member", _("member")
        VIEWER = "viewer", _("viewer")

    conversation = models.ForeignKey(Conversation, models.CASCADE, related_name="participants")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="nous_participations")
    role = models.CharField(_("role"), max_length=10, choices=Role.choices, default=Role.MEMBER)
    joined_at = models.DateTimeField(_("joined"), default=timezone.now)
    last_read = models.PositiveIntegerField(_("number of the last message read"), default=0, editable=False)
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
    """Somebody was taken out of a conversation by another person: no link lets him in, until he is added by name. While
    he is in it the row says nothing; it goes when he leaves by himself.
    """

    conversation = models.ForeignKey(Conversation, models.CASCADE, related_name="removals")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="nous_removals")
    removed_at = models.DateTimeField(_("removed"), default=timezone.now)

    class Meta:
        verbose_name = _("removal")
        verbose_name_plural = _("removals")
        constraints = [models.UniqueConstraint(fields=["conversation", "user"], name="nous_chat_removal_once")]

    def __str__(self) -> str:
        return f"{self.user}, {self.removed_at:%Y-%m-%d %H:%M}"


class Invitation(models.Model):
    """A link that lets people into a conversation. Its token is the signed id (`store/invitations.py`): whoever reads
    the table has no link.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    conversation = models.ForeignKey(Conversation, models.CASCADE, related_name="invitations")
    role = models.CharField(_("role"), max_length=10, choices=Participant.Role.choices, default=Participant.Role.MEMBER)
    max_uses = models.PositiveIntegerField(_("uses at most"), null=True, blank=True)
    uses = models.PositiveIntegerField(_("uses"), default=0)
    expires_at = models.DateTimeField(_("expires"))
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="nous_invitations")
    created_at = models.DateTimeField(_("created"), default=timezone.now)

    class Meta:
        verbose_name = _("invitation")
        verbose_name_plural = _("invitations")
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return f"{self.get_role_display()}, {self.expires_at:%Y-%m-%d %H:%M}"


class Message(models.Model):
    """One posted text. An answer's row exists from its run's start; its text is checkpointed as it grows."""

    class Role(models.TextChoices):
        USER = "user", _("person")
        ASSISTANT = "assistant", _("assistant")
        SYSTEM = "system", _("system")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    conversation = models.ForeignKey(Conversation, models.CASCADE, related_name="messages")
    seq = models.PositiveIntegerField(_("number"))
    role = models.CharField(_("role"), max_length=10, choices=Role.choices)
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="nous_messages"
    )
    text = models.TextField(_("text"), blank=True)
    thinking = models.TextField(_("thinking"), blank=True)
    client_id = models.UUIDField(_("the browser's id"), null=True, blank=True, editable=False)
    reply_to = models.ForeignKey("self", models.SET_NULL, null=True, blank=True, related_name="+")
    replaces = models.OneToOneField(
        "self",
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="replaced_by",
        editable=False,
        help_text=_("the answer that it goes on with"),
    )
    alternative_of = models.ForeignKey(
        "self",
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="alternatives",
        editable=False,
        help_text=_("the first of several answers to one question, which itself is one of them"),
    )
    shown = models.BooleanField(
        _("shown"),
        default=True,
        editable=False,
        help_text=_("not where another alternative is chosen, the answer went on in another, or its question changed"),
    )
    created_at = models.DateTimeField(_("created"), default=timezone.now)
    edited_at = models.DateTimeField(_("edited"), null=True, blank=True, editable=False)
    deleted_at = models.DateTimeField(_("deleted"), null=True, blank=True, editable=False)
    deleted_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+", editable=False
    )

    class Meta:
        verbose_name = _("message")
        verbose_name_plural = _("messages")
        ordering = ["conversation", "seq"]
        indexes = [  # what counts as unread
            models.Index(
                fields=["conversation", "seq"],
                condition=Q(shown=True, deleted_at=None) & ~Q(role="system"),
                name="nous_chat_message_counts",
            )
        ]
        constraints = [
            models.UniqueConstraint(fields=["conversation", "seq"], name="nous_chat_message_order"),
            models.UniqueConstraint(fields=["conversation", "author", "client_id"], name="nous_chat_message_sent_once"),
        ]

    def __str__(self) -> str:
        return f"{self.seq}: {_('(deleted)') if self.deleted_at else self.text[:60]}"


class Edit(models.Model):
    """What a message said before it was edited."""

    message = models.ForeignKey(Message, models.CASCADE, related_name="edits")
    text = models.TextField(_("text before"), blank=True)
    edited_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    edited_at = models.DateTimeField(_("edited"), default=timezone.now)

    class Meta:
        verbose_name = _("edit")
        verbose_name_plural = _("edits")
        ordering = ["message", "pk"]

    def __str__(self) -> str:
        return f"{self.edited_at:%Y-%m-%d %H:%M}: {self.text[:60]}"


def attachment_storage() -> Storage:
    return storages[conf.STORAGE]


class Attachment(models.Model):
    """A picture or a text file: uploaded to a conversation first, then sent with a message. A fork's rows name the same
    file, so a file is deleted with the last row that names it.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    conversation = models.ForeignKey(Conversation, models.CASCADE, related_name="attachments")
    message = models.ForeignKey(Message, models.CASCADE, null=True, blank=True, related_name="attachments")
    uploaded_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    file = models.FileField(_("file"), storage=attachment_storage, max_length=200)
    name = models.CharField(_("name"), max_length=200)
    type = models.CharField(_("type"), max_length=50)
    size = models.PositiveIntegerField(_("bytes"))
    text = models.TextField(_("text"), blank=True, editable=False, help_text=_("what a model is sent of a text file"))
    created_at = models.DateTimeField(_("uploaded"), default=timezone.now)

    class Meta:
        verbose_name = _("attachment")
        verbose_name_plural = _("attachments")
        ordering = ["created_at", "pk"]
        indexes = [models.Index(fields=["file"], name="nous_chat_attachment_file")]

    def __str__(self) -> str:
        return self.name

    @property
    def is_image(self) -> bool:
        return self.type.startswith("image/")


class Passage(models.Model):
    """What the search finds: the title of a conversation, or the text of a message, in the folded form of `search.py`.
    SQLite's FTS5 and PostgreSQL's full text index are over this table (a migration).
    """

    conversation = models.ForeignKey(Conversation, models.CASCADE, related_name="passages")
    message = models.OneToOneField(Message, models.CASCADE, null=True, blank=True, related_name="passage")
    text = models.TextField()

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


class Run(models.Model):
    """One answer being made, or made: an agent calling a model."""

    class Status(models.TextChoices):
        QUEUED = "queued", _("queued")
        RUNNING = "running", _("running")
        AWAITING_APPROVAL = "awaiting_approval", _("awaiting approval")
        COMPLETED = "completed", _("completed")
        STOPPED = "stopped", _("stopped")
        FAILED = "failed", _("failed")
        INTERRUPTED = "interrupted", _("interrupted")

    ACTIVE = (Status.QUEUED, Status.RUNNING, Status.AWAITING_APPROVAL)

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    conversation = models.ForeignKey(Conversation, models.CASCADE, related_name="runs")
    message = models.OneToOneField(
        Message, models.CASCADE, null=True, blank=True, related_name="run", help_text=_("the answer it writes")
    )
    replaces = models.ForeignKey(
        Message, models.SET_NULL, null=True, blank=True, related_name="+", help_text=_("the answer it makes again")
    )
    continues = models.BooleanField(
        _("goes on"), default=False, help_text=_("with the text of that answer, instead of making it again")
    )
    status = models.CharField(_("status"), max_length=20, choices=Status.choices, default=Status.QUEUED)
    place = models.PositiveIntegerField(
        _("place in the queue"), null=True, blank=True, help_text=_("while it waits for its process to have room")
    )
    seq = models.PositiveIntegerField(_("number of the newest stored frame"), default=0)
    agent = models.CharField(_("agent"), max_length=100)
    model = models.CharField(_("model"), max_length=200, blank=True)
    launched_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="nous_runs"
    )

    host = models.CharField(
        _("process that makes it"), max_length=100, help_text=_("empty while a queued run waits for one to take it up")
    )
    heartbeat_at = models.DateTimeField(_("last sign of life"), default=timezone.now)
    stop_requested_at = models.DateTimeField(_("stop requested"), null=True, blank=True)
    stopped_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+")

    finish_reason = models.CharField(_("finish reason"), max_length=100, null=True, blank=True)
    error_code = models.CharField(_("error"), max_length=50, blank=True)
    error_message = models.TextField(_("error message"), blank=True)
    retry_after = models.FloatField(_("retry after (s)"), null=True, blank=True)
    input_tokens = models.PositiveIntegerField(_("input tokens"), null=True, blank=True)
    output_tokens = models.PositiveIntegerField(_("output tokens"), null=True, blank=True)
    total_tokens = models.PositiveIntegerField(_("total tokens"), null=True, blank=True)
    cached_tokens = models.PositiveIntegerField(_("cached tokens"), null=True, blank=True)
    reasoning_tokens = models.PositiveIntegerField(_("reasoning tokens"), null=True, blank=True)
    tokens = models.PositiveIntegerField(
        _("output tokens, estimated"), null=True, blank=True, help_text=_("where the provider sent no count of the end")
    )
    cost = models.DecimalField(_("cost"), max_digits=12, decimal_places=6, null=True, blank=True)
    transcript = models.TextField(
        _("transcript"), blank=True, help_text=_("what a model is sent of this run later, with its tool calls; JSON")
    )

    created_at = models.DateTimeField(_("created"), default=timezone.now)
    started_at = models.DateTimeField(_("started"), null=True, blank=True)
    finished_at = models.DateTimeField(_("finished"), null=True, blank=True)

    class Meta:
        verbose_name = _("run")
        verbose_name_plural = _("runs")
        ordering = ["-created_at"]
        indexes = [
            models.Index(
                fields=["heartbeat_at"],
                condition=Q(status__in=["queued", "running"]),
                name="nous_chat_run_heartbeat",
            )
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["conversation"],
                condition=Q(status__in=["queued", "running", "awaiting_approval"]),
                name="nous_chat_one_active_run",
            )
        ]

    def __str__(self) -> str:
        return f"{self.agent}: {self.get_status_display()}"

    @property
    def cut_off(self) -> bool:
        """Did it end before its answer was complete? Then it can go on."""
        ended = (self.Status.STOPPED, self.Status.FAILED, self.Status.INTERRUPTED)
        return self.status in ended or (self.status == self.Status.COMPLETED and self.finish_reason in AT_LIMIT)


class ToolCall(models.Model):
    """One use of a tool in a run, and, where it needs one, the decision of a person on it."""

    class Status(models.TextChoices):
        RUNNING = "running", _("running")
        AWAITING_APPROVAL = "awaiting_approval", _("awaiting approval")
        DONE = "done", _("done")
        FAILED = "failed", _("failed")
        REJECTED = "rejected", _("rejected")
        STOPPED = "stopped", _("stopped")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    run = models.ForeignKey(Run, models.CASCADE, related_name="calls")
    call_id = models.CharField(_("the model's id"), max_length=200)
    name = models.CharField(_("tool"), max_length=100)
    arguments = models.JSONField(_("arguments"), null=True, blank=True)
    status = models.CharField(_("status"), max_length=20, choices=Status.choices, default=Status.RUNNING)
    result = models.TextField(_("result"), null=True, blank=True)
    decided_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+")
    decided_at = models.DateTimeField(_("decided"), null=True, blank=True)
    reason = models.TextField(_("reason of a rejection"), blank=True)
    changed = models.BooleanField(_("approved with other arguments"), default=False)
    expires_at = models.DateTimeField(_("waits until"), null=True, blank=True)
    created_at = models.DateTimeField(_("created"), default=timezone.now)

    class Meta:
        verbose_name = _("tool call")
        verbose_name_plural = _("tool calls")
        ordering = ["created_at", "pk"]
        indexes = [
            models.Index(fields=["expires_at"], condition=Q(status="awaiting_approval"), name="nous_chat_call_expiry")
        ]
        constraints = [models.UniqueConstraint(fields=["run", "call_id"], name="nous_chat_call_once")]

    def __str__(self) -> str:
        return f"{self.name}: {self.get_status_display()}"


class Spending(models.Model):
    """What a person's runs in a conversation took on one day (UTC): what budgets are held against. It outlives both,
    or deleting would be a way to spend more.
    """

    day = models.DateField(_("day"))
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="nous_spendings")
    conversation = models.ForeignKey(Conversation, models.SET_NULL, null=True, related_name="spendings")
    tokens = models.PositiveBigIntegerField(_("tokens"), default=0)
    cost = models.DecimalField(_("cost"), max_digits=16, decimal_places=6, default=0)
    runs = models.PositiveIntegerField(_("runs"), default=0)

    class Meta:
        verbose_name = _("spending")
        verbose_name_plural = _("spendings")
        ordering = ["-day"]
        indexes = [
            models.Index(fields=["user", "day"], name="nous_chat_spent_by_user"),
            models.Index(fields=["conversation", "day"], name="nous_chat_spent_here"),
        ]
        constraints = [models.UniqueConstraint(fields=["day", "user", "conversation"], name="nous_chat_spent_once")]

    def __str__(self) -> str:
        return f"{self.day}: {self.tokens}"
