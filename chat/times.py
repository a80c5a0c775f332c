"""Times of rows and times of the wire. With USE_TZ off, those of rows are naive, in the site's TIME_ZONE."""

from datetime import date, datetime
from typing import overload

from django.conf import settings
from django.utils import timezone


@overload
def to_wire(time: datetime) -> datetime: ...
@overload
def to_wire(time: datetime | None) -> datetime | None: ...
def to_wire(time: datetime | None) -> datetime | None:
    """A row's time with its offset: a browser would take one without for its own local time."""
    if time is None or timezone.is_aware(time):
        return time
    return timezone.make_aware(time, timezone.get_default_timezone())


def to_row(time: datetime) -> datetime:
    """A time with an offset as the database takes it."""
    return time if settings.USE_TZ else timezone.make_naive(time, timezone.get_default_timezone())


def today() -> date:
    """Days begin at midnight of the site's TIME_ZONE."""
    return to_wire(timezone.now()).astimezone(timezone.get_default_timezone()).date()
