"""Guests: visitors who chat without an account."""

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _


class Guest(models.Model):
    """Marks a row of the site's user model as a guest's, until retention erases both.

    The visitor's session names the row under `SESSION_KEY`. Nobody can sign in to it: its password begins with
    `PASSWORD_PREFIX`, which is unusable (`django.contrib.auth.hashers.UNUSABLE_PASSWORD_PREFIX`), and which no user can
    choose.
    """

    SESSION_KEY = "nous_chat_guest"
    PASSWORD_PREFIX = "!nous-chat-guest-"  # noqa: S105  not a password, but what stands in the place of one

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, models.CASCADE, verbose_name=_("user"), primary_key=True, related_name="nous_guest"
    )
    created_at = models.DateTimeField(_("created"), default=timezone.now, db_index=True, editable=False)

    class Meta:
        verbose_name = _("guest")
        verbose_name_plural = _("guests")
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return str(self.user)
