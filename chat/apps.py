"""The Django app. Its label is `nous_chat`, whether the package is called `chat` (here) or `nous_chat` (installed)."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class ChatConfig(AppConfig):
    name = __package__
    label = "nous_chat"
    verbose_name = _("Chat")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        # Importing them registers the checks and connects the signals.
        from . import checks, database, signal_handlers  # noqa: F401
        from .realtime import revocation  # noqa: F401

        database.install_router()
