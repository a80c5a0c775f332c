"""What people and conversations have spent."""

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from .conversations import Conversation


class Spending(models.Model):
    """What a person's runs in a conversation took on one day (UTC): what budgets are held against. It outlives both,
    or deleting would be a way to spend more.
    """

    day = models.DateField(_("day"))
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, verbose_name=_("user"), null=True, related_name="nous_spendings"
    )
    conversation = models.ForeignKey(
        Conversation, models.SET_NULL, verbose_name=_("conversation"), null=True, related_name="spendings"
    )
    tokens = models.PositiveBigIntegerField(_("tokens"), default=0)
    cost = models.DecimalField(_("cost"), max_digits=16, decimal_places=6, default=0)
    runs = models.PositiveIntegerField(_("runs"), default=0)

    class Meta:
        verbose_name = _("spending")
        verbose_name_plural = _("spending")
        ordering = ["-day"]
        indexes = [
            models.Index(fields=["user", "day"], name="nous_chat_spent_by_user"),
            models.Index(fields=["conversation", "day"], name="nous_chat_spent_here"),
        ]
        constraints = [models.UniqueConstraint(fields=["day", "user", "conversation"], name="nous_chat_spent_once")]

    def __str__(self) -> str:
        return f"{self.day}: {self.tokens}"
