"""The users that an import names: those of the site by their usernames, and new rows for the others."""

import secrets
from datetime import datetime
from typing import Any

from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.db import IntegrityError

from ... import database
from ...models import Guest
from ...permissions import is_guest
from .lines import check_value

MAX_KEYS = 10_000


class Users:
    """Keys of users by their usernames (USERNAME_FIELD). The last ones are kept."""

    def __init__(self) -> None:
        self._keys: dict[Any, Any] = {}
        self._created: list[Any] = []

    @property
    def number(self) -> int:
        """How many users were created so far."""
        return len(self._created)

    def find(self, name: Any, guest_since: datetime | None = None) -> Any:
        """The key of a user, who is created if there is none: as a guest, or without a usable password. Raises
        ValueError if the site's user model does not take them.
        """
        if name not in self._keys:
            check_value(name)
            if len(self._keys) > MAX_KEYS:
                self._keys.clear()
            with database.atomic():  # what the database refuses ends only this
                self._keys[name] = self._find(name, guest_since)
        return self._keys[name]

    def _find(self, name: Any, guest_since: datetime | None) -> Any:
        users = get_user_model()
        rows = users._base_manager.using(database.alias())
        field: Any = users._meta.get_field(users.USERNAME_FIELD)
        try:
            row = rows.filter(**{users.USERNAME_FIELD: field.clean(name, None)}).first()
        except ValidationError as error:
            raise ValueError(f"The username {name!r} is not valid: {' '.join(error.messages)}") from None
        if row is None:
            row = _create(name, guest_since is not None)
            self._created.append(row.pk)
        if guest_since is not None and is_guest(row):
            Guest.objects.get_or_create(user=row, defaults={"created_at": guest_since})
        return row.pk

    def delete_from(self, number: int) -> None:
        """Delete users that were created after the first `number`."""
        if gone := self._created[number:]:
            get_user_model()._base_manager.using(database.alias()).filter(pk__in=gone).delete()
            del self._created[number:]
            self._keys.clear()

    def forget(self) -> None:
        """The transaction that created users failed."""
        self._keys.clear()


def _create(name: Any, guest: bool) -> Any:
    users = get_user_model()
    field: Any = users._meta.get_field(users.USERNAME_FIELD)
    user = users(**{field.attname: field.clean(name, None)})
    if guest:
        user.password = Guest.PASSWORD_PREFIX + secrets.token_hex(16)
    else:
        user.set_unusable_password()
    try:
        with database.atomic():
            user.save(using=database.alias())
    except IntegrityError:
        raise ValueError(f"The user {name!r} cannot be created with a username alone. Create them first") from None
    return user
