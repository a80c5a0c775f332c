"""What happens to rows when the row that they refer to is deleted, if a hold may cover them: `on_delete` of keys.

They refuse with ProtectedError, which Django's admin explains on its page. Migrations refer to them by name.
"""

from typing import Any

from django.apps import apps
from django.db import models
from django.db.models import ProtectedError, Q
from django.utils.translation import gettext as _


def held(field: str = "pk") -> Q:
    """Rows whose `field` is a conversation that an active hold covers: its own, or one of a user who takes part in it
    or has written in it, messages or in its documents.
    """
    active: Any = apps.get_model("nous_chat", "Hold")._base_manager.filter(released_at=None)
    users = active.filter(user__isnull=False).values("user")
    models_of_users = ("Participant", "Message", "DocumentUpdate")
    rows = {name: apps.get_model("nous_chat", name)._base_manager for name in models_of_users}
    changed = rows["DocumentUpdate"].filter(author__in=users)
    return (
        Q((f"{field}__in", active.filter(conversation__isnull=False).values("conversation")))
        | Q((f"{field}__in", rows["Participant"].filter(user__in=users).values("conversation")))
        | Q((f"{field}__in", rows["Message"].filter(author__in=users).values("conversation")))
        | Q((f"{field}__in", changed.values("document__conversation")))
    )


def _check(rows: Any) -> None:
    names = {field.name for field in rows.model._meta.get_fields()}
    if found := list(rows.filter(held("conversation" if "conversation" in names else "document__conversation"))[:10]):
        raise ProtectedError(_("A hold keeps this."), set(found))


def cascade_unless_held(collector: Any, field: Any, sub_objs: Any, using: str) -> None:
    """CASCADE, for rows of a conversation."""
    _check(sub_objs)
    models.CASCADE(collector, field, sub_objs, using)


def set_null_unless_held(collector: Any, field: Any, sub_objs: Any, using: str) -> None:
    """SET_NULL, for rows of a conversation."""
    _check(sub_objs)
    models.SET_NULL(collector, field, sub_objs, using)


def set_null_if_released(collector: Any, field: Any, sub_objs: Any, using: str) -> None:
    """SET_NULL, for holds."""
    if found := list(sub_objs.filter(released_at=None)[:10]):
        raise ProtectedError(_("A hold keeps this."), set(found))
    models.SET_NULL(collector, field, sub_objs, using)
