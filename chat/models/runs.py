"""Runs and their tool calls."""

import uuid

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from ..engine import CONTINUABLE_FINISH_REASONS
from .conversations import Conversation
from .indexes import index_if_set
from .messages import Message


class Run(models.Model):
    """One answer by an agent, from being queued to its one final status."""

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
    conversation = models.ForeignKey(Conversation, models.CASCADE, verbose_name=_("conversation"), related_name="runs")
    message = models.OneToOneField(
        Message,
        models.CASCADE,
        verbose_name=_("message"),
        null=True,
        blank=True,
        related_name="run",
        help_text=_("The answer that this run writes."),
    )
    replaces = models.ForeignKey(
        Message,
        models.SET_NULL,
        verbose_name=_("replaced answer"),
        null=True,
        blank=True,
        related_name="+",
        db_index=False,
        help_text=_("The answer that this run regenerates or continues."),
    )
    continues = models.BooleanField(
        _("continues"), default=False, help_text=_("Continues the text of that answer instead of regenerating it.")
    )
    status = models.CharField(_("status"), max_length=20, choices=Status.choices, default=Status.QUEUED)
    place = models.PositiveIntegerField(
        _("place in line"),
        null=True,
        blank=True,
        help_text=_("Set while the run waits until its process has capacity."),
    )
    seq = models.PositiveIntegerField(_("last stored frame"), default=0)
    agent = models.CharField(_("agent"), max_length=100)
    agent_version = models.PositiveIntegerField(
        _("version of the agent"), null=True, blank=True, help_text=_("Empty for agents of the site's settings.")
    )
    model = models.CharField(_("model"), max_length=200, blank=True)
    launched_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        verbose_name=_("launched by"),
        null=True,
        blank=True,
        related_name="nous_runs",
    )

    host = models.CharField(_("process"), max_length=100, help_text=_("Empty while a queued run waits for a process."))
    unattended = models.BooleanField(
        _("unattended"),
        default=False,
        db_default=False,
        help_text=_("Asked by the site's code or without JavaScript: it is made even if nobody has the page open."),
    )
    heartbeat_at = models.DateTimeField(_("last heartbeat"), default=timezone.now)
    stop_requested_at = models.DateTimeField(_("stop requested"), null=True, blank=True)
    stopped_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, verbose_name=_("stopped by"), null=True, blank=True, related_name="+"
    )

    finish_reason = models.CharField(_("finish reason"), max_length=100, null=True, blank=True)
    error_code = models.CharField(_("error"), max_length=50, blank=True)
    error_message = models.TextField(_("error message"), blank=True)
    error_detail = models.TextField(
        # db_default lets processes that do not know the field yet store runs while a deployment replaces them.
        _("error details"),
        blank=True,
        default="",
        db_default="",
        help_text=_("For staff: what the provider said."),
    )
    retry_after = models.FloatField(_("retry after (seconds)"), null=True, blank=True)
    input_tokens = models.PositiveIntegerField(_("input tokens"), null=True, blank=True)
    output_tokens = models.PositiveIntegerField(_("output tokens"), null=True, blank=True)
    total_tokens = models.PositiveIntegerField(_("total tokens"), null=True, blank=True)
    cached_tokens = models.PositiveIntegerField(_("cached tokens"), null=True, blank=True)
    reasoning_tokens = models.PositiveIntegerField(_("reasoning tokens"), null=True, blank=True)
    tokens = models.PositiveIntegerField(
        _("output tokens, estimated"),
        null=True,
        blank=True,
        help_text=_("Set if the provider did not report a final count."),
    )
    cost = models.DecimalField(_("cost"), max_digits=12, decimal_places=6, null=True, blank=True)
    price = models.TextField(
        _("price"),
        blank=True,
        default="",
        db_default="",  # as for error_detail
        help_text=_("The price that the cost was computed with: for a million tokens, and where it came from."),
    )
    transcript = models.TextField(
        _("transcript"), blank=True, help_text=_("What models receive of this run later, with its tool calls, as JSON.")
    )

    created_at = models.DateTimeField(_("created"), default=timezone.now)
    started_at = models.DateTimeField(_("started"), null=True, blank=True)
    first_token_at = models.DateTimeField(_("first token"), null=True, blank=True)
    finished_at = models.DateTimeField(_("finished"), null=True, blank=True)

    class Meta:
        verbose_name = _("run")
        verbose_name_plural = _("runs")
        ordering = ["-created_at"]
        permissions = [("stop_run", "Can stop runs"), ("view_dashboard", "Can see the dashboard")]
        indexes = [
            models.Index(fields=["created_at"], name="nous_chat_run_created"),
            models.Index(fields=["conversation", "created_at"], name="nous_chat_run_here"),
            models.Index(  # all that the admin's figures read of ended runs, which are written once
                fields=[
                    *("created_at", "agent", "model", "status", "error_code", "total_tokens", "tokens", "cost"),
                    *("started_at", "first_token_at", "finished_at"),
                ],
                condition=Q(finished_at__isnull=False),
                name="nous_chat_run_figures",
            ),
            models.Index(fields=["created_at"], condition=Q(finished_at=None), name="nous_chat_run_unfinished"),
            index_if_set("replaces", "nous_chat_run_replaces"),
            models.Index(
                fields=["heartbeat_at"],
                condition=Q(status__in=["queued", "running"]),
                name="nous_chat_run_heartbeat",
            ),
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
        """True if it ended before its answer was complete, so that it can be continued."""
        ended = (self.Status.STOPPED, self.Status.FAILED, self.Status.INTERRUPTED)
        return self.status in ended or (
            self.status == self.Status.COMPLETED and self.finish_reason in CONTINUABLE_FINISH_REASONS
        )


class ToolCall(models.Model):
    """One call of a tool in a run, and the decision on it if it needs approval."""

    class Status(models.TextChoices):
        RUNNING = "running", _("running")
        AWAITING_APPROVAL = "awaiting_approval", _("awaiting approval")
        DONE = "done", _("done")
        FAILED = "failed", _("failed")
        REJECTED = "rejected", _("rejected")
        STOPPED = "stopped", _("stopped")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    run = models.ForeignKey(Run, models.CASCADE, verbose_name=_("run"), related_name="calls")
    call_id = models.CharField(_("call ID"), max_length=200)
    name = models.CharField(_("tool"), max_length=100)
    arguments = models.JSONField(_("arguments"), null=True, blank=True)
    status = models.CharField(_("status"), max_length=20, choices=Status.choices, default=Status.RUNNING)
    result = models.TextField(_("result"), null=True, blank=True)
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, verbose_name=_("decided by"), null=True, blank=True, related_name="+"
    )
    decided_at = models.DateTimeField(_("decided"), null=True, blank=True)
    reason = models.TextField(_("reason for rejecting"), blank=True)
    changed = models.BooleanField(_("arguments changed"), default=False)
    expires_at = models.DateTimeField(_("expires"), null=True, blank=True)
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
