"""Django's groups, which the site's user model may not have."""

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.core.exceptions import FieldDoesNotExist


def has_groups() -> bool:
    """Whether the site's user model has Django's groups."""
    try:
        field = get_user_model()._meta.get_field("groups")
    except FieldDoesNotExist:
        return False
    return field.related_model is Group
