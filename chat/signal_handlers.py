"""Receivers of Django's signals: cleanup after a row is deleted, also by a cascade or in the admin.

An attachment's file goes with its last row. A conversation that loses its owner gets another one.
"""

from typing import Any

from django.db.models.signals import post_delete
from django.dispatch import receiver

from . import store
from .models import Attachment, Participant


@receiver(post_delete, sender=Attachment)
def attachment_deleted(instance: Attachment, **_: Any) -> None:
    store.delete_unused_file(str(instance.file.name))


@receiver(post_delete, sender=Participant)
def participant_deleted(instance: Participant, **_: Any) -> None:
    store.ensure_owner(instance.conversation_id)
