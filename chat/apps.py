"""The app's name and label. The label is `nous_chat`: a bare `chat` collides with other people's apps."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class ChatConfig(AppConfig):
    name = "chat"
    label = "nous_chat"
    verbose_name = _("Chat")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from . import checks, signal_handlers  # noqa: F401  they register themselves
        from .realtime import revocation  # noqa: F401  they register themselves
