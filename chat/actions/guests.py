"""A guest signs in: their conversation becomes that of the account."""

import logging
from functools import partial
from typing import Any

from .. import store
from ..concurrency import after_commit
from ..models import Guest
from ..realtime import inbox

logger = logging.getLogger("nous_chat.guests")


def hand_over(session: Any, user: Any) -> None:
    """Give the user what belongs to the guest of their session, if it has one. A failure is logged: it must not keep
    anybody from signing in. The session then still names the guest, for the next time.
    """
    key = None if session is None else session.get(Guest.SESSION_KEY)
    if not key:
        return
    try:
        handed_over = store.hand_over_guest(key, user)
    except Exception:
        logger.exception("The conversation of a guest could not be handed over")
        return
    del session[Guest.SESSION_KEY]
    for conversation_id in handed_over:
        after_commit(partial(inbox.announce_to, [user.pk], conversation_id))
