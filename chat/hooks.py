"""The site's checks of what people send to models and what models answer: BEFORE_MODEL and AFTER_MODEL.

They fail closed: if a hook raises, the message is not stored, or the answer not shown.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.utils.module_loading import import_string
from django.utils.translation import gettext as _

from .concurrency import own_connections
from .conf import conf
from .engine.daemon_threads import in_daemon_thread
from .protocol import objects
from .protocol.errors import ErrorCode, Refused

logger = logging.getLogger("nous_chat.hooks")


class Rejected(Exception):
    """Raised by a hook, with a sentence for the user: the message is not posted, or the answer not shown."""


@dataclass(frozen=True)
class HookContext:
    """Whose text a hook gets, and where. `agent` is the slug of the one that answers; empty before the model."""

    user_id: Any
    conversation_id: UUID
    agent: str = ""


def checks_answers() -> bool:
    return bool(conf.AFTER_MODEL)


def check_message(user_id: Any, conversation_id: UUID, text: str) -> str:
    """The text of a user's message as it is to be stored. Raises Refused(REJECTED). Synchronous: the hook may wait."""
    if not conf.BEFORE_MODEL or not text.strip():
        return text
    try:
        return _call(conf.BEFORE_MODEL, HookContext(user_id, conversation_id), text)
    except Rejected as rejected:
        logger.info("BEFORE_MODEL rejected a message in %s", conversation_id)
        raise Refused(ErrorCode.REJECTED, str(rejected)) from None
    except Exception:
        logger.exception("BEFORE_MODEL failed; the message is not stored")
        raise Refused(
            ErrorCode.REJECTED, _("This message could not be checked, so it was not sent. Try again later.")
        ) from None


async def acheck_message(user_id: Any, conversation_id: UUID, text: str) -> str:
    """The same, without holding up the event loop."""
    return await _in_thread(check_message, user_id, conversation_id, text) if conf.BEFORE_MODEL else text


async def check_answer(context: HookContext, text: str) -> str | objects.Failure:
    """The text of an answer as it is to be shown, or why it is not."""
    try:
        return await _in_thread(_call, conf.AFTER_MODEL, context, text)
    except Rejected as rejected:
        logger.info("AFTER_MODEL rejected an answer in %s", context.conversation_id)
        return objects.Failure("withheld", str(rejected))
    except Exception:
        logger.exception("AFTER_MODEL failed; the answer is not shown")
        return objects.Failure.from_code("withheld")


def _call(path: str, context: HookContext, text: str) -> str:
    checked = import_string(path)(context, text)
    if not isinstance(checked, str):
        raise TypeError(f"{path} has to return a text, not {type(checked).__name__}.")
    return checked


async def _in_thread(function: Callable[..., str], *args: Any) -> str:
    def work() -> str:
        with own_connections():
            return function(*args)

    return await in_daemon_thread(work)
