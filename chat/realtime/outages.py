"""Outages: whether this process can reach the database and the channel layer. Tells its sockets about each change."""

import logging
from typing import Literal

from django.utils.translation import gettext_noop

from .. import metrics
from ..concurrency import TaskSets, detached
from .hub import Hub

logger = logging.getLogger("nous_chat.realtime")

NOTICES = {
    "database_away": gettext_noop("Nothing can be saved right now. Answers in progress continue and are saved later."),
    "database_back": gettext_noop("Everything can be saved again."),
    "layer_away": gettext_noop("New messages may arrive late right now. Nothing is lost."),
    "layer_back": gettext_noop("New messages arrive on time again."),
}
"""What users are told, by the `code` of the `notice` event."""

_LOGGED = {
    "database_away": "The database does not answer.",
    "database_back": "The database answers again.",
    "layer_away": "The channel layer does not take messages.",
    "layer_back": "The channel layer takes messages again.",
}


class Outages:
    """The current outages of one process."""

    def __init__(self, hub: Hub, tasks: TaskSets) -> None:
        self.away: set[str] = set()
        """What is away: "database", "layer"."""
        self._hub = hub
        self._tasks = tasks

    def layer_away(self) -> bool:
        """Whether the channel layer is away."""
        return "layer" in self.away

    def report(self, what: Literal["database", "layer"], away: bool) -> None:
        """Note whether something is away. If that has changed, tell our sockets directly; when it is back, they load
        new snapshots.

        Each notice is a task, cancelled by `Node.drain`; nothing escapes.
        """
        if away == (what in self.away):
            return
        code = f"{what}_{'away' if away else 'back'}"
        logger.warning("%s", _LOGGED[code])
        if away:
            metrics.count(code)
            self.away.add(what)
        else:
            self.away.remove(what)
        for socket in self._hub.sockets:
            detached(socket.notify(code), self._tasks.watching)
        if not away:
            self._hub.resnapshot(_LOGGED[code])
