"""Outages: whether this process can reach the database and each server of the channel layer. Tells its sockets about
each change that concerns them.
"""

import logging
from collections.abc import Sequence

from django.utils.translation import gettext_noop

from .. import metrics
from ..concurrency import TaskSets, detached
from . import servers
from .hub import Hub, LocalSocket

logger = logging.getLogger("nous_chat.realtime")

NOTICES = {
    "database_away": gettext_noop("Nothing can be saved right now. Answers in progress continue and are saved later."),
    "database_back": gettext_noop("Everything can be saved again."),
    "layer_away": gettext_noop("New messages may arrive late right now. Nothing is lost."),
    "layer_back": gettext_noop("New messages arrive on time again."),
    "model_away": gettext_noop("The model has problems right now. Answers may take longer, or fail."),
    "model_back": gettext_noop("The model works normally again."),
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
        self.database_away = False
        self.servers_away: set[int] = set()
        """The servers of the channel layer that are away."""
        self.troubled_models: frozenset[str] = frozenset()
        """Models that are slow or failing, as far as this process knows. Each socket tells its own reader."""
        self._hub = hub
        self._tasks = tasks

    def layer_away(self, *groups: str) -> bool:
        """Whether the server of one of these groups is away."""
        return any(servers.of_group(group) in self.servers_away for group in groups)

    def report_database(self, away: bool) -> None:
        """Note whether the database is away. If that has changed, tell our sockets; when it is back, they load new
        snapshots.
        """
        if away == self.database_away:
            return
        self.database_away = away
        self._tell("database_away" if away else "database_back", list(self._hub.sockets))
        if not away:
            self._hub.resnapshot(_LOGGED["database_back"])

    def report_layer(self, server: int, away: bool) -> None:
        """Note whether a server of the layer is away. If that has changed, tell the sockets that show a group of it;
        when it is back, they load new snapshots, and the others join their groups there again.
        """
        if away == (server in self.servers_away):
            return
        if away:
            self.servers_away.add(server)
        else:
            self.servers_away.remove(server)
        self._tell("layer_away" if away else "layer_back", self._hub.showing(server))
        if not away:
            self._hub.resnapshot(_LOGGED["layer_back"], server)
            self._hub.recheck_others(server)

    def _tell(self, code: str, sockets: Sequence[LocalSocket]) -> None:
        """Each notice is a task, cancelled by `Node.drain`; nothing escapes."""
        logger.warning("%s", _LOGGED[code])
        if code.endswith("_away"):
            metrics.count(f"{code}_total")
        for socket in sockets:
            detached(socket.notify(code), self._tasks.watching)
