"""Receivers of Django's signals: what has to follow a change that the store did not make (a cascade, the admin), and
what a guest gets who signs in.
"""

from typing import Any

from django.contrib.auth.signals import user_logged_in
from django.db import transaction
from django.db.models.signals import post_delete, post_save
from django.dispatch import receiver

from . import database, rooms, store
from .actions import guests
from .actions import rooms as room_actions
from .models import Attachment, Budget, Inspection, Participant, Price
from .store.inspections import inspections
from .store.pricing import stored_prices
from .store.stored_budgets import stored_budgets


@receiver(post_delete, sender=Attachment)
def delete_file(instance: Attachment, **_: Any) -> None:
    # Forks share files, so the file goes with the last row that names it.
    store.delete_unused_file(str(instance.file.name))


@receiver(post_delete, sender=Participant)
def replace_owner(instance: Participant, **_: Any) -> None:
    store.ensure_owner(instance.conversation_id)


@receiver([post_save, post_delete], sender=Price)
@receiver([post_save, post_delete], sender=Budget)
@receiver([post_save, post_delete], sender=Inspection)
def forget_cached(**_: Any) -> None:
    """This process uses new prices, budgets, and inspections at once, the others within seconds."""
    _forget_cached()
    transaction.on_commit(_forget_cached, using=database.alias())


def _forget_cached() -> None:
    stored_prices.forget()
    stored_budgets.forget()
    inspections.forget()


@receiver(rooms.object_deleted)
def close_room(instance: Any, **_: Any) -> None:
    room_actions.object_deleted(instance)


@receiver(user_logged_in)
def keep_conversation(request: Any, user: Any, **_: Any) -> None:
    guests.hand_over(getattr(request, "session", None), user)
