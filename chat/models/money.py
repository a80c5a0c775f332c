"""What staff sets about money in the admin: prices and budgets."""

from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import MinValueValidator
from django.db import models
from django.utils.translation import gettext_lazy as _

from .conversations import Conversation


class Price(models.Model):
    """What a million tokens of a model cost from a day on. It counts more than the settings and the shipped table."""

    model = models.CharField(_("model"), max_length=200, help_text=_("As provider:model, such as openai:gpt-4o."))
    valid_from = models.DateField(_("valid from"), help_text=_("Answers that end on this day or later cost this."))
    input = models.DecimalField(_("input"), max_digits=12, decimal_places=6, validators=[MinValueValidator(0)])
    output = models.DecimalField(_("output"), max_digits=12, decimal_places=6, validators=[MinValueValidator(0)])
    cached = models.DecimalField(
        _("cached input"),
        max_digits=12,
        decimal_places=6,
        null=True,
        blank=True,
        validators=[MinValueValidator(0)],
        help_text=_("For input that the provider read from its cache. Empty: as other input."),
    )

    class Meta:
        verbose_name = _("price")
        verbose_name_plural = _("prices")
        ordering = ["model", "-valid_from"]
        default_permissions = ("view",)
        permissions = [("manage_budgets", "Can manage prices and budgets")]
        constraints = [models.UniqueConstraint(fields=["model", "valid_from"], name="nous_chat_price_once")]

    def __str__(self) -> str:
        return f"{self.model}, {self.valid_from}"


class Budget(models.Model):
    """A limit on what runs use, in addition to those of the settings. The stricter one counts."""

    class Scope(models.TextChoices):
        EACH_USER = "user", _("each person")
        PERSON = "person", _("one person")
        EACH_MEMBER = "member", _("each person in a group")
        GROUP = "group", _("a group together")
        EACH_CONVERSATION = "conversation", _("each conversation")
        ONE_CONVERSATION = "one_conversation", _("one conversation")
        SITE = "site", _("everybody together")

    class Period(models.TextChoices):
        DAY = "day", _("each day")
        MONTH = "month", _("each month")
        EVER = "ever", _("in all")

    NEEDS = {
        Scope.PERSON: "user",
        Scope.EACH_MEMBER: "group",
        Scope.GROUP: "group",
        Scope.ONE_CONVERSATION: "conversation",
    }
    """The field that says whom a budget of this scope limits."""

    scope = models.CharField(_("applies to"), max_length=20, choices=Scope.choices, default=Scope.EACH_USER)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.CASCADE,
        verbose_name=_("person"),
        null=True,
        blank=True,
        related_name="nous_budgets",
    )
    group = models.ForeignKey(
        "auth.Group", models.CASCADE, verbose_name=_("group"), null=True, blank=True, related_name="nous_budgets"
    )
    conversation = models.ForeignKey(
        Conversation,
        models.CASCADE,
        verbose_name=_("conversation"),
        null=True,
        blank=True,
        related_name="budgets",
    )
    period = models.CharField(_("period"), max_length=10, choices=Period.choices, default=Period.MONTH)
    tokens = models.PositiveBigIntegerField(
        _("tokens"), null=True, blank=True, help_text=_("Input and output together. Empty: any number.")
    )
    cost = models.DecimalField(
        _("cost"),
        max_digits=16,
        decimal_places=6,
        null=True,
        blank=True,
        validators=[MinValueValidator(0)],
        help_text=_("In the currency of the site. Empty: any amount."),
    )

    class Meta:
        verbose_name = _("budget")
        verbose_name_plural = _("budgets")
        ordering = ["scope", "pk"]
        default_permissions = ("view",)

    def __str__(self) -> str:
        return f"{self.get_scope_display()}, {self.get_period_display()}"

    def clean(self) -> None:
        """Raises ValidationError if it limits nothing, or nobody."""
        super().clean()
        problems: dict[str, Any] = {}
        if self.tokens is None and self.cost is None:
            problems["tokens"] = _("Set a number of tokens, a cost, or both.")
        needed = self.NEEDS.get(self.scope)  # type: ignore[call-overload]
        for name in ("user", "group", "conversation"):
            given = getattr(self, f"{name}_id") is not None
            if given != (name == needed):
                problems[name] = _("Choose this if the budget applies to it, and only then.")
        if problems:
            raise ValidationError(problems)
