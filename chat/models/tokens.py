"""API tokens: what scripts and other front ends send instead of a session cookie."""

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _


class ApiToken(models.Model):
    """A user's token. The table holds its hash, so reading it reveals no token. A revoked token has no row."""

    class Scopes(models.TextChoices):
        """What requests with the token may do, as words separated by spaces."""

        READ_WRITE = "read write", _("read and write")
        READ = "read", _("read only")
        WRITE = "write", _("write only")

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, verbose_name=_("user"), related_name="nous_tokens"
    )
    name = models.CharField(_("name"), max_length=100, help_text=_("What the token is for."))
    scopes = models.CharField(_("scopes"), max_length=20, choices=Scopes.choices, default=Scopes.READ_WRITE)
    secret_hash = models.CharField(_("hash"), max_length=64, unique=True, editable=False)
    hint = models.CharField(_("token"), max_length=20, editable=False, help_text=_("Its first and last characters."))
    created_at = models.DateTimeField(_("created"), default=timezone.now, editable=False)
    expires_at = models.DateTimeField(_("expires"), null=True, blank=True, help_text=_("If empty: never."))
    last_used_at = models.DateTimeField(_("last used"), null=True, blank=True, editable=False)

    class Meta:
        verbose_name = _("API token")
        verbose_name_plural = _("API tokens")
        ordering = ["-created_at", "-pk"]

    def __str__(self) -> str:
        return f"{self.name} ({self.hint})"
