"""The run inspector: what people want recorded, and what was."""

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from .conversations import Conversation
from .runs import Run


class Inspection(models.Model):
    """Until when runs are recorded: those in a conversation, of an agent, of both, or all."""

    conversation = models.ForeignKey(
        Conversation, models.CASCADE, verbose_name=_("conversation"), null=True, blank=True, related_name="+"
    )
    agent = models.CharField(_("agent"), max_length=100, blank=True)
    started_at = models.DateTimeField(_("started"), default=timezone.now)
    started_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, verbose_name=_("started by"), null=True, blank=True, related_name="+"
    )
    until = models.DateTimeField(_("until"))

    class Meta:
        verbose_name = _("inspection")
        verbose_name_plural = _("inspections")
        ordering = ["-started_at", "-pk"]
        default_permissions = ("view",)
        permissions = [("inspect_runs", "Can inspect runs")]

    def __str__(self) -> str:
        return f"{self.started_at:%Y-%m-%d %H:%M}"


class RunRecording(models.Model):
    """What was recorded of a run. One that waited for approvals has several, because several processes may have made
    it. It holds what people wrote, so it is content, as messages are.
    """

    run = models.ForeignKey(Run, models.CASCADE, verbose_name=_("run"), related_name="recordings")
    since = models.DateTimeField(_("since"), help_text=_("What was deleted before is not in it."))
    content = models.TextField(_("content"), help_text=_("As JSON."))

    class Meta:
        verbose_name = _("recording of a run")
        verbose_name_plural = _("recordings of runs")
        ordering = ["since", "pk"]
        default_permissions = ()
        indexes = [models.Index(fields=["since"], name="nous_chat_recording_since")]

    def __str__(self) -> str:
        return f"{self.since:%Y-%m-%d %H:%M}"
