"""Django's log of what staff have done, if the site has its admin."""

from typing import Any

from django.apps import apps
from django.contrib.contenttypes.models import ContentType
from django.db.models import Model

from ..i18n import in_site_language

_CHANGE = 2
"""A value of `LogEntry.action_flag`. Its module can be imported only if the admin is installed."""


def note(user_id: Any, row: Model, name: str, what: str) -> None:
    """Note what this user has done to a row, in a sentence of `gettext_noop`. The log shows `name` for the row."""
    if apps.is_installed("django.contrib.admin"):
        apps.get_model("admin", "LogEntry")._base_manager.create(
            user_id=user_id,
            content_type=ContentType.objects.get_for_model(row),
            object_id=str(row.pk),
            object_repr=name,
            action_flag=_CHANGE,
            change_message=in_site_language(what),
        )
