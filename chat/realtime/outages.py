"""What this process cannot reach at the moment, the database or the channel layer. Sockets are told of each change."""

import logging
from typing import Literal

from django.utils.translation import gettext_noop

from .. import metrics
from ..concurrency import TaskSets, detached
from .hub import Hub

logger = logging.getLogger("nous_chat.realtime")

NOTICES = {
    "database_away": gettext_noop(
        "The database does not answer. Running answers continue and are saved when it is back."
    ),
    "database_back": gettext_noop("The database is back."),
    "layer_away": gettext_noop(
        "Server processes cannot reach each other. New messages may arrive late; nothing is lost."
    ),
    "layer_back": gettext_noop("Server processes can reach each other again."),
}
"""By the `code` of the `notice` event."""


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
        """
        if away == (what in self.away):
            return
        code = f"{what}_{'away' if away else 'back'}"
        logger.warning("%s", NOTICES[code])
        if away:
            metrics.count(code)
            self.away.add(what)
        else:
            self.away.remove(what)
        for socket in self._hub.sockets:
            detached(socket.notify(code), self._tasks.watching)
        if not away:
            self._hub.resnapshot(NOTICES[code])
