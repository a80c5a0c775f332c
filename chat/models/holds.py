"""Legal holds, which stop every deletion of what they cover, receipts of erasures, and figures of pruning."""

import uuid

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from .conversations import Conversation
from .protection import set_null_if_released


class Hold(models.Model):
    """Keeps one conversation, or all conversations of one user, until somebody releases it. The row stays after that.

    Neither can be deleted while it is active: the foreign keys refuse.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    conversation = models.ForeignKey(
        Conversation,
        set_null_if_released,
        verbose_name=_("conversation"),
        null=True,
        blank=True,
        related_name="holds",
    )
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        set_null_if_released,
        verbose_name=_("user"),
        null=True,
        blank=True,
        related_name="nous_holds",
    )
    reason = models.TextField(_("reason"))
    placed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, verbose_name=_("placed by"), null=True, blank=True, related_name="+"
    )
    placed_at = models.DateTimeField(_("placed"), default=timezone.now)
    released_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        verbose_name=_("released by"),
        null=True,
        blank=True,
        related_name="+",
    )
    released_at = models.DateTimeField(_("released"), null=True, blank=True)
    release_reason = models.TextField(_("reason of the release"), blank=True, default="", db_default="")

    class Meta:
        verbose_name = _("hold")
        verbose_name_plural = _("holds")
        ordering = ["-placed_at", "pk"]
        indexes = [
            models.Index(fields=["conversation"], condition=Q(released_at=None), name="nous_chat_hold_conversation"),
            models.Index(fields=["user"], condition=Q(released_at=None), name="nous_chat_hold_user"),
        ]

    def __str__(self) -> str:
        return f"{self.placed_at:%Y-%m-%d %H:%M}"  # no reason: it may name people


class Erasure(models.Model):
    """The receipt of an erased user: when, by whom, and how much. When it is finished, it does not say who it was."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        verbose_name=_("user"),
        null=True,
        blank=True,
        related_name="+",
        help_text=_("Who is being erased. Empty when it is finished."),
    )
    erased_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, verbose_name=_("erased by"), null=True, blank=True, related_name="+"
    )
    begun_at = models.DateTimeField(_("begun"), default=timezone.now)
    finished_at = models.DateTimeField(_("finished"), null=True, blank=True)
    counts = models.JSONField(_("counts"), default=dict, help_text=_("How many rows of each kind were erased."))
    step = models.CharField(
        _("step"), max_length=40, blank=True, default="", db_default="", help_text=_("What is being erased.")
    )
    after = models.CharField(
        _("last row"),
        max_length=64,
        blank=True,
        default="",
        db_default="",
        help_text=_("Up to which key this step is done."),
    )

    class Meta:
        verbose_name = _("erasure")
        verbose_name_plural = _("erasures")
        ordering = ["-begun_at", "pk"]

    def __str__(self) -> str:
        return str(self.pk)


class Pruning(models.Model):
    """How much was erased on one day, by servers in the background and by `nous_prune`: retention, what people
    had deleted, guests who are gone, and unsent files.
    """

    day = models.DateField(_("day"), primary_key=True)
    conversations = models.PositiveIntegerField(_("conversations"), default=0)
    messages = models.PositiveIntegerField(_("messages"), default=0)
    contents = models.PositiveIntegerField(
        _("deleted messages"), default=0, help_text=_("What deleted messages contained. Their places stay.")
    )
    documents = models.PositiveIntegerField(_("documents"), default=0)
    attachments = models.PositiveIntegerField(_("files"), default=0)
    guests = models.PositiveIntegerField(_("guests"), default=0)
    rows = models.PositiveIntegerField(_("other rows"), default=0)
    last_at = models.DateTimeField(_("last erased"), default=timezone.now)

    class Meta:
        verbose_name = _("pruning")
        verbose_name_plural = _("retention")
        ordering = ["-day"]

    def __str__(self) -> str:
        return str(self.day)
