"""What the code of a site can do with its chat, from views, commands, and workers of a task queue.

The package exports these functions: `import nous_chat; nous_chat.recheck(user)`.
"""

from typing import Any

from django.db import models

from . import store
from .actions import rooms as room_actions
from .models import Conversation


def conversation_for(obj: models.Model) -> Conversation:
    """The room of an object, made on first use. Raises LookupError if its model is not registered with `rooms`."""
    return store.make_room(obj)


def recheck(user: Any) -> None:
    """Ask the rules of the rooms that a user is in again, and have all their sockets, in every process, re-check their
    access when the current transaction has committed.
    """
    room_actions.recheck(user)
