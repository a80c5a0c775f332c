"""Agents that staff make in the admin, and their versions."""

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _


class StoredAgent(models.Model):
    """An agent in the database. What it is like is in its versions; the current one answers."""

    slug = models.SlugField(
        _("ID"), max_length=100, unique=True, help_text=_("People address it by this: @id. It cannot be changed later.")
    )
    name = models.CharField(_("name"), max_length=100, help_text=_("That of the current version."))
    enabled = models.BooleanField(
        _("enabled"), default=True, help_text=_("If not, the site's default agent answers in its conversations.")
    )
    version = models.PositiveIntegerField(_("version"), default=1)
    created_at = models.DateTimeField(_("created"), default=timezone.now)
    changed_at = models.DateTimeField(_("changed"), default=timezone.now)

    class Meta:
        verbose_name = _("agent")
        verbose_name_plural = _("agents")
        ordering = ["name", "slug"]
        default_permissions = ()
        permissions = [("manage_agents", "Can manage agents")]

    def __str__(self) -> str:
        return self.name


class AgentVersion(models.Model):
    """An agent as it was saved once. Never changed."""

    agent = models.ForeignKey(StoredAgent, models.CASCADE, verbose_name=_("agent"), related_name="versions")
    number = models.PositiveIntegerField(_("version"))
    config = models.JSONField(_("settings"), help_text=_("The fields of an entry of AGENTS."))
    restores = models.PositiveIntegerField(_("restores version"), null=True, blank=True)
    saved_at = models.DateTimeField(_("saved"), default=timezone.now)
    saved_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, verbose_name=_("saved by"), null=True, blank=True, related_name="+"
    )

    class Meta:
        verbose_name = _("version")
        verbose_name_plural = _("versions")
        ordering = ["-number"]
        default_permissions = ()
        constraints = [models.UniqueConstraint(fields=["agent", "number"], name="nous_chat_agent_version_once")]

    def __str__(self) -> str:
        return f"{self.agent_id}: {self.number}"
