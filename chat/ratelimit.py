"""How often a person may ask: a token bucket for each, in this process. Pure: `sockets` and `api` bring the time."""

import threading
import time
import weakref
from collections import OrderedDict
from typing import Any

from django.utils.translation import gettext as _

from .conf import conf
from .protocol.errors import ErrorCode, Refused


class Bucket:
    """Holds COMMAND_BURST tokens and gets COMMAND_RATE new ones a second; a command takes one. Who goes on asking in
    spite of refusals runs into debt, and is `exhausted` when that is as large as the bucket.
    """

    def __init__(self) -> None:
        self._tokens = float(conf.COMMAND_BURST)
        self._then: float | None = None

    def take(self, now: float) -> float:
        """Seconds to wait until the next command is taken; 0 where this one is."""
        gained = 0.0 if self._then is None else (now - self._then) * conf.COMMAND_RATE
        left = min(self._tokens + gained, conf.COMMAND_BURST) - 1
        self._then, self._tokens = now, max(left, -conf.COMMAND_BURST - 1.0)
        return 0.0 if self._tokens >= 0 else (1 - self._tokens) / conf.COMMAND_RATE

    @property
    def exhausted(self) -> bool:
        return self._tokens < -conf.COMMAND_BURST


class Buckets:
    """One for each person who is connected, by primary key: all his sockets of this process share it, and the last
    takes it with it.
    """

    def __init__(self) -> None:
        self._of: weakref.WeakValueDictionary[Any, Bucket] = weakref.WeakValueDictionary()

    def of(self, person: Any) -> Bucket:
        if (found := self._of.get(person)) is None:
            found = self._of[person] = Bucket()
        return found


class Requests:
    """The same for HTTP requests, which come in threads, from people who do not stay: those of the last MOST people."""

    MOST = 10_000

    def __init__(self) -> None:
        self._of: OrderedDict[Any, Bucket] = OrderedDict()
        self._lock = threading.Lock()

    def take(self, person: Any, now: float) -> float:
        """Seconds to wait until this person's next request is taken; 0 where this one is."""
        with self._lock:
            bucket = self._of.setdefault(person, Bucket())
            self._of.move_to_end(person)
            if len(self._of) > self.MOST:
                self._of.popitem(last=False)
            return bucket.take(now)


_requests = Requests()


def admit(user_id: Any) -> None:
    """Raises Refused where this person asks too often. For the forms without JavaScript, too."""
    if wait := _requests.take(user_id, time.monotonic()):
        raise Refused(ErrorCode.RATE_LIMITED, _("You are asking too often. Wait a moment."), retry_after=wait)
