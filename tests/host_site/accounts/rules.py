"""The host site's permissions."""

from typing import Any

from nous_chat.permissions import Permissions


class Rules(Permissions):
    """Bob has a picture, Ada one that does not exist, Eve creates no conversations."""

    def picture(self, user: Any) -> str:
        return {"bob": "/assets/admin/img/icon-yes.svg", "ada": "/assets/nothing.png"}.get(user.email, "")

    def can_create(self, user: Any) -> bool:
        return super().can_create(user) and user.email != "eve"
