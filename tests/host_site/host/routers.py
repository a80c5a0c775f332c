"""Database routers, as sites with several databases have them. None is in use unless HOST_SETTINGS says so."""

from typing import Any

from django.db.models import Model


class Talks:
    """The chat has a database of its own, together with everything that its tables refer to."""

    apps = frozenset(("accounts", "admin", "auth", "contenttypes", "nous_chat", "shop"))

    def db_for_read(self, model: type[Model], **hints: Any) -> str | None:
        return "talks" if model._meta.app_label in self.apps else None

    db_for_write = db_for_read

    def allow_migrate(self, db: str, app_label: str, **hints: Any) -> bool:
        return (db == "talks") == (app_label in self.apps)


class OnlyTalks:
    """Only the tables of the chat are used in its database, which has a copy of the users and of the content types."""

    def db_for_read(self, model: type[Model], **hints: Any) -> str:
        return "talks" if model._meta.app_label == "nous_chat" else "default"

    db_for_write = db_for_read

    def allow_relation(self, obj1: Model, obj2: Model, **hints: Any) -> bool:
        return True


class Replica:
    """Everything is read from a replica, except for sessions."""

    def db_for_read(self, model: type[Model], **hints: Any) -> str:
        return "default" if model._meta.app_label == "sessions" else "replica"

    def db_for_write(self, model: type[Model], **hints: Any) -> str:
        return "default"

    def allow_relation(self, obj1: Model, obj2: Model, **hints: Any) -> bool:
        return True
