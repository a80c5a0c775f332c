"""Django's signals in: an attachment's file goes with its last row, whoever deletes that (a cascade, the admin)."""

from typing import Any

from django.db.models.signals import post_delete
from django.dispatch import receiver

from . import store
from .models import Attachment


@receiver(post_delete, sender=Attachment)
def attachment_deleted(instance: Attachment, **_: Any) -> None:
    store.forget_file(str(instance.file.name))
