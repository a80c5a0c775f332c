"""Spending, against which budgets are checked."""

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from .conversations import Conversation


class Spending(models.Model):
    """What a user's runs by one agent and model in one conversation took on one day (in the site's TIME_ZONE).

    It outlives both: otherwise, deleting them would be a way around budgets.
    """

    day = models.DateField(_("day"))
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, verbose_name=_("user"), null=True, related_name="nous_spendings"
    )
    conversation = models.ForeignKey(
        Conversation, models.SET_NULL, verbose_name=_("conversation"), null=True, related_name="spendings"
    )
    # db_default lets processes that do not know the fields yet store rows while a deployment replaces them.
    agent = models.CharField(_("agent"), max_length=100, blank=True, default="", db_default="")
    model = models.CharField(_("model"), max_length=200, blank=True, default="", db_default="")
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
            models.Index(  # all that the sums in the admin read
                fields=["day", "user", "agent", "model", "tokens", "cost", "runs"], name="nous_chat_spent_figures"
            ),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["day", "user", "conversation", "agent", "model"], name="nous_chat_spent_by_model"
            )
        ]

    def __str__(self) -> str:
        return f"{self.day}: {self.tokens}"
