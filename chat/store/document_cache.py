"""The newest texts of documents that this process has read or changed, so that each change need not read the log again.

Only texts of committed versions are in it, and those never change. So it needs no invalidation, and no process has to
tell another one. A text has the time of its last change, because a database that has failed over may have lost some of
the last commits: then others follow under the same versions.

The last changes are kept with their text, so that a change which somebody made for a version shortly before can be
mapped over them.
"""

import threading
from collections import OrderedDict
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from django.db import transaction

from .. import database
from ..documents.changesets import ChangeSet

MAX_CHARS = 8 * 1024 * 1024
"""How many characters it holds in all."""

MAX_RECENT = 200
"""How many of its last changes are kept with a text."""

MAX_RECENT_CHARS = 64 * 1024
"""How many characters they take, together. A section of a change counts as some."""


class CachedText(NamedTuple):
    version: int
    changed_at: datetime
    text: str
    recent: tuple[ChangeSet, ...] = ()
    """The last changes, oldest first; the last one made `version`."""
    recent_chars: int = 0

    def after(self, changes: ChangeSet, changed_at: datetime) -> "CachedText":
        """The text after one more change. Raises InvalidChange if it does not fit."""
        text = changes.apply(self.text)
        recent, chars = (*self.recent, changes), self.recent_chars + _size(changes)
        while len(recent) > MAX_RECENT or chars > MAX_RECENT_CHARS:
            recent, chars = recent[1:], chars - _size(recent[0])
        return CachedText(self.version + 1, changed_at, text, recent, chars)

    def changes_since(self, version: int) -> Sequence[ChangeSet] | None:
        """The changes after a version. None if they are not known."""
        missed = self.version - version
        return self.recent[len(self.recent) - missed :] if 0 <= missed <= len(self.recent) else None

    @property
    def chars(self) -> int:
        """How many characters it takes."""
        return len(self.text) + self.recent_chars


def _size(changes: ChangeSet) -> int:
    return sum(10 + len(inserted or "") for _, inserted in changes.sections)


_lock = threading.Lock()
_texts: OrderedDict[UUID, CachedText] = OrderedDict()
_chars = 0


def find_text(document_id: UUID) -> CachedText | None:
    """The newest text of a document that this process knows."""
    with _lock:
        found = _texts.get(document_id)
        if found is not None:
            _texts.move_to_end(document_id)
        return found


def keep_text(document_id: UUID, kept: CachedText) -> None:
    """Keep a text when the transaction has committed; at once outside of one."""
    transaction.on_commit(lambda: _keep(document_id, kept), using=database.alias())


def _keep(document_id: UUID, kept: CachedText) -> None:
    global _chars
    with _lock:
        before = _texts.get(document_id)
        if before is not None:
            _chars -= before.chars
        _texts[document_id] = kept
        _texts.move_to_end(document_id)
        _chars += kept.chars
        while _chars > MAX_CHARS:
            _, dropped = _texts.popitem(last=False)
            _chars -= dropped.chars
