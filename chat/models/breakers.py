"""Circuit breakers of models, as far as people set them."""

from django.core.exceptions import ValidationError
from django.db import models
from django.utils.translation import gettext_lazy as _


class Breaker(models.Model):
    """Whether a model is asked. Without a row, each process decides by itself (engine/breaker.py)."""

    class Setting(models.TextChoices):
        AUTOMATIC = "automatic", _("automatic")
        OPEN = "open", _("open: never ask it")
        CLOSED = "closed", _("closed: always ask it")

    model = models.CharField(
        _("model"), max_length=200, unique=True, help_text=_("As provider:model, such as openai:gpt-4o.")
    )
    setting = models.CharField(_("setting"), max_length=10, choices=Setting.choices, default=Setting.AUTOMATIC)

    class Meta:
        verbose_name = _("circuit breaker")
        verbose_name_plural = _("circuit breakers")
        ordering = ["model"]
        default_permissions = ("view",)
        permissions = [("manage_breakers", "Can open and close circuit breakers")]

    def __str__(self) -> str:
        return f"{self.model}: {self.get_setting_display()}"

    def clean(self) -> None:
        provider, _colon, name = self.model.partition(":")
        if not (provider and name):
            raise ValidationError({"model": _("Write the model as provider:model.")})
