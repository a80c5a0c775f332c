"""Rate limits: a token bucket for each user, in this process."""

import asyncio
import ipaddress
import math
import threading
import time
from collections import OrderedDict
from collections.abc import Hashable
from typing import Any, Generic, TypeVar

from django.utils.translation import gettext as _

from .conf import conf
from .permissions import is_guest
from .protocol.errors import ErrorCode, Refused
from .turns import Stranger

MAX_NEW_SOCKETS = 25
"""How many sockets a user may open at once if they do nothing else: a browser with a dozen tabs, after a restart."""

COMMANDS_PER_SOCKET = 4
"""How many commands a new socket costs at most: its snapshot costs as much. A large COMMAND_BURST does not raise it."""

MAX_ENTERING = 4
"""How many of a user's sockets may have a snapshot in memory. One that is sent to a client that does not read stays
there, with megabytes of messages.
"""

MAX_OPEN_SOCKETS = 100
"""How many sockets a user may have open: every frame of a conversation is sent to each of them."""

FRAMES_PER_COMMAND = 10
"""How many frames a user may send for each command of their limit. A tab acknowledges once a second what it reads."""

CHARS_PER_COMMAND = 32 * 1024
"""How many characters their frames may hold for each command of their limit."""


class Bucket:
    """A token bucket: holds up to COMMAND_BURST tokens, gains COMMAND_RATE a second. Each command takes one token, each
    new socket more (`take_socket`).

    Clients that ignore refusals run into debt; at a debt as large as the bucket it is `exhausted`. The caller passes
    the time in.
    """

    def __init__(self) -> None:
        self._tokens = float(self.burst)
        self._then: float | None = None

    @property
    def rate(self) -> float:
        """Tokens gained a second."""
        return conf.COMMAND_RATE

    @property
    def burst(self) -> float:
        """Tokens held at most."""
        return conf.COMMAND_BURST

    @property
    def max_debt(self) -> float:
        """Tokens owed at most, so that the wait stays short for those who went on."""
        return self.burst + 1.0

    def take(self, now: float, cost: float = 1.0) -> float:
        """Take a token, or what the request costs. Returns 0, or the seconds to wait if there is not enough."""
        gained = 0.0 if self._then is None else (now - self._then) * self.rate
        tokens = min(self._tokens + gained, self.burst) - cost
        self._then, self._tokens = now, max(tokens, -self.max_debt)
        return 0.0 if self._tokens >= 0 else (cost - self._tokens) / self.rate

    @property
    def exhausted(self) -> bool:
        return self._tokens < -self.burst


class SocketBucket(Bucket):
    """The bucket of a user's sockets, and two more for their frames, whatever these hold: by number, and by length."""

    def __init__(self) -> None:
        super().__init__()
        self._frames, self._chars = Bucket(), Bucket()
        self.open = 0
        """How many sockets are being served."""
        self.entering = asyncio.Semaphore(MAX_ENTERING)
        """Held by a socket while it reads and sends its snapshot."""

    def take_socket(self, now: float) -> float:
        """Take the tokens of a new socket. Returns 0, or the seconds to wait."""
        return self.take(now, min(COMMANDS_PER_SOCKET, conf.COMMAND_BURST / MAX_NEW_SOCKETS))

    def take_frame(self, now: float, chars: int) -> bool:
        """Count a frame before it is parsed. Returns False if there were too many, or too long ones: a client that
        follows the protocol never comes near that, so there is no refusal to wait after.
        """
        too_many = self._frames.take(now, 1 / FRAMES_PER_COMMAND)
        too_long = self._chars.take(now, chars / CHARS_PER_COMMAND)
        return not (too_many or too_long)


class TypingBucket(Bucket):
    """The bucket of a conversation's typing events, in this process. A token pays for one delivery: a frame to a socket
    of the conversation, or to an inbox. Hundreds of people who type would cost the square of their number.
    """

    rate, burst = 200.0, 400.0
    max_debt = math.inf
    """Only what is published counts, and one event in a room of a thousand costs more than the burst."""


class GuestBucket(Bucket):
    """The bucket of an address: how many guests can begin there in an hour (`GuestConf.per_address`)."""

    @property
    def rate(self) -> float:
        return self.burst / 3600

    @property
    def burst(self) -> float:
        return 0.0 if conf.GUESTS is None else conf.GUESTS.per_address

    def take(self, now: float, cost: float = 1.0) -> float:
        """The same, but a refused attempt takes nothing: it would make everybody else at the address wait longer."""
        super().take(now, 0.0)
        return (cost - self._tokens) / self.rate if self._tokens < cost else super().take(now, cost)


B = TypeVar("B", bound=Bucket)


class Buckets(Generic[B]):
    """Buckets by the primary key of a user (or by `client_of`), of a conversation, or by an address. Thread-safe.

    They outlive sockets and requests, or closing one would be a way to a full bucket. Nothing tells when a user is
    gone, so this keeps the MAX_KEPT that were asked for last.
    """

    MAX_KEPT = 10_000

    def __init__(self, kind: type[B]) -> None:
        self._kind = kind
        self._kept: OrderedDict[Any, B] = OrderedDict()
        self._lock = threading.RLock()

    def of(self, key: Any) -> B:
        """For callers on the event loop, which take from it by themselves."""
        with self._lock:
            bucket = self._kept.setdefault(key, self._kind())
            self._kept.move_to_end(key)
            if len(self._kept) > self.MAX_KEPT:
                self._kept.popitem(last=False)
            return bucket

    def take(self, key: Any, now: float, cost: float = 1.0) -> float:
        """Take a token, or `cost`, in any thread. Returns 0, or the seconds to wait if there is not enough."""
        with self._lock:
            return self.of(key).take(now, cost)


FILE_COST = 0.25
"""What a request for a file takes from the bucket of files: a page full of pictures is loaded at once."""

_requests = Buckets(Bucket)
_files = Buckets(Bucket)
_guests = Buckets(GuestBucket)


def client_of(user: Any, address: str) -> Hashable:
    """Whose bucket a user takes tokens from: their own, except that all guests of an address share one, so that a
    visitor who begins as ten guests gets no more than one user.
    """
    return Stranger(network_of(address)) if is_guest(user) else user.pk


def network_of(address: str) -> str:
    """An IPv4 address, or the network of an IPv6 address: a visitor has 2^64 of these (RFC 4291, 2.5.1)."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:  # a Unix socket, say
        return address
    if isinstance(found, ipaddress.IPv6Address):
        return str(found.ipv4_mapped or ipaddress.ip_network((int(found), 64), strict=False))
    return str(found)


def check_new_guest(address: str) -> None:
    """Count a guest who begins at this address. Raises Refused if there were too many."""
    if wait := _guests.take(network_of(address), time.monotonic()):
        raise too_many_requests(wait)


def forget_new_guest(address: str) -> None:
    """Count a guest less at this address: they did not begin."""
    _guests.take(network_of(address), time.monotonic(), -1.0)


def check(user_id: Any, cost: float = 1.0) -> None:
    """Count an HTTP request of this user, or what it costs. Raises Refused if there were too many."""
    if wait := _requests.take(user_id, time.monotonic(), cost):
        raise too_many_requests(wait)


def spend(user_id: Any, cost: float) -> None:
    """Count what an HTTP request of this user is about to cost. Raises Refused if they still owe for an earlier one:
    many at the same moment would all begin before the first one is paid.
    """
    now = time.monotonic()
    if wait := _requests.take(user_id, now, 0.0):
        raise too_many_requests(wait)
    _requests.take(user_id, now, cost)


def charge(user_id: Any, cost: float) -> None:
    """Count what an HTTP request of this user turned out to cost. Their next ones wait for it."""
    _requests.take(user_id, time.monotonic(), cost)


def check_file(user_id: Any) -> None:
    """Count a request of this user for a file, apart from other requests. Raises Refused if there were too many."""
    if wait := _files.take(user_id, time.monotonic(), FILE_COST):
        raise too_many_requests(wait)


def too_many_requests(wait: float, ref: str | None = None) -> Refused:
    return Refused(ErrorCode.RATE_LIMITED, _("Too many requests. Wait a moment."), ref, retry_after=wait)
