"""Rooms: the conversation of an object of the site, and the site's own rule of who takes part in it.

    from nous_chat import rooms

    class OrderRoom(rooms.Room):
        def can_see(self, user, order):
            return user == order.customer or user.has_perm("shop.view_order")

    rooms.register(Order, OrderRoom)  # in the `ready` of the site's AppConfig, or in models.py

`store/rooms.py` makes the conversations and keeps their participants.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

from django.contrib.auth.models import AnonymousUser
from django.db.models import Model
from django.db.models.signals import post_delete
from django.dispatch import Signal

from . import database

if TYPE_CHECKING:
    from django.contrib.contenttypes.models import ContentType

    from .models import Conversation

logger = logging.getLogger("nous_chat.rooms")


class Room:
    """The rule of a model's rooms. A site inherits from it and overrides what differs.

    The methods are called in the thread of a view, or in the one that all sockets share: queries are fine, waiting for
    a network is not. If one raises, nobody is let in.
    """

    agent: str = ""
    """Slug of the agent that answers; empty means the site's default agent."""

    tools: Sequence[str | Callable[..., Any]] = ()
    """Tools that the agent has here in addition to its own: functions, or their dotted paths. They find the object in
    `context.object`."""

    documents: Mapping[str, str] = MappingProxyType({})
    """The text fields of the model that people and agents can write together in the room (`document_for`): the kind of
    each one's text, such as `markdown`."""

    listed: bool = False
    """Whether the room is in its participants' lists and search results."""

    on_delete: Literal["delete", "keep"] = "delete"
    """What happens to the room with its object. A kept one becomes a conversation of the people who were in it."""

    def can_see(self, user: Any, obj: Any) -> bool:
        """Read the room. `user` is signed in and active."""
        return False

    def can_post(self, user: Any, obj: Any) -> bool:
        """Write in the room, and ask its agent. Asked only if the user can see it."""
        return True

    def title(self, obj: Any) -> str:
        return str(obj)

    def url(self, obj: Any) -> str:
        """The address of the object's page, to which the title leads; empty if it has none."""
        address: str = obj.get_absolute_url() if hasattr(obj, "get_absolute_url") else ""
        return address

    def instructions(self, obj: Any) -> str:
        """What the agent is told here in addition to its own instructions."""
        return ""


_rules: dict[type[Model], Room] = {}

object_deleted = Signal()
"""Sent with `instance` when an object that can have a room is deleted, inside the transaction."""


def register(model: type[Model], room: type[Room]) -> None:
    """Let the instances of a model have rooms by this rule. A second call replaces the first one's."""
    concrete: Any = model._meta.concrete_model
    _rules[concrete] = room()
    # Only for this model: a receiver for all of them would slow down every deletion of the site.
    post_delete.connect(_forward_deletion, sender=concrete, dispatch_uid="nous_chat.room")


def _forward_deletion(instance: Model, **_: Any) -> None:
    object_deleted.send(type(instance), instance=instance)


def registered() -> dict[type[Model], Room]:
    """The rules by model."""
    return dict(_rules)


def rule_of(obj: Model) -> Room:
    """The rule for an object. Raises LookupError if its model is not registered."""
    concrete: Any = obj._meta.concrete_model
    try:
        return _rules[concrete]
    except KeyError:
        raise LookupError(f"{concrete.__name__} has no rooms: call rooms.register({concrete.__name__}, ...).") from None


@dataclass(frozen=True)
class ObjectKey:
    """An object as the row of its conversation names it."""

    content_type: "ContentType"
    object_id: str


def key_of(obj: Model) -> ObjectKey:
    """Raises ValueError if the object is not saved."""
    from django.contrib.contenttypes.models import ContentType

    if obj.pk is None:
        raise ValueError("An object needs a primary key before it can have a room.")
    return ObjectKey(
        ContentType.objects.db_manager(database.alias()).get_for_model(obj), obj._meta.pk.value_to_string(obj)
    )


def find_object(conversation: "Conversation") -> tuple[Room, Any] | None:
    """The rule and the object of a room. None if the object is gone or its model is not registered, and for
    conversations that are no rooms.
    """
    if conversation.content_type_id is None:
        return None
    from django.contrib.contenttypes.models import ContentType

    model = ContentType.objects.db_manager(database.alias()).get_for_id(conversation.content_type_id).model_class()
    if model is None or model not in _rules:
        return None
    obj = model._base_manager.filter(pk=model._meta.pk.to_python(conversation.object_id)).first()
    return None if obj is None else (_rules[model], obj)


def role_of(user: Any, found: tuple[Room, Any] | None) -> Literal["member", "viewer"] | None:
    """What a user is in a room by its rule, which `find_object` has found. None if they may not see it."""
    if found is None or user is None or isinstance(user, AnonymousUser) or not user.is_active:
        return None
    rule, obj = found
    try:
        if not rule.can_see(user, obj):
            return None
        return "member" if rule.can_post(user, obj) else "viewer"
    except Exception:
        logger.exception("The rule of a room failed; nobody is let in")
        return None


@dataclass(frozen=True)
class Briefing:
    """What an agent gets of the room in which it answers."""

    object: Any
    instructions: str
    tools: tuple[str | Callable[..., Any], ...]


def brief(conversation: "Conversation") -> Briefing | None:
    """None for conversations that are no rooms, and for rooms without an object."""
    found = find_object(conversation)
    if found is None:
        return None
    rule, obj = found
    return Briefing(obj, rule.instructions(obj), tuple(rule.tools))
