"""The dashboard of staff. What its pages show comes over their sockets (`consumers/dashboard.py`)."""

import functools
from collections.abc import Callable

import msgspec
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from .. import __version__, addresses, store
from ..metrics import METRICS
from ..monitoring.status import read_status
from .page import admin_url, csp_nonce
from .rate_limit import rate_limited

LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")


def for_watchers(view: Callable[[HttpRequest, store.StaffRights], HttpResponse]) -> Callable[..., HttpResponse]:
    """Decorator of a view for users with the permission `view_dashboard`. Django logs refusals."""

    @require_safe
    @never_cache
    @login_required
    @rate_limited
    @functools.wraps(view)
    def wrapped(request: HttpRequest) -> HttpResponse:
        rights = store.staff_rights(request.user)
        if not rights.watch:
            raise PermissionDenied
        return view(request, rights)

    return wrapped


@for_watchers
def dashboard(request: HttpRequest, rights: store.StaffRights) -> HttpResponse:
    """Figures and runs."""
    setup = {
        "socket": f"{addresses.sockets()}dashboard/",
        "status": addresses.page("dashboard-status"),
        "conversation": admin_url(request.user),
        "stop": rights.stop,
        "labels": {name: metric.labels for name, metric in METRICS.items()},
        "buckets": {name: metric.buckets for name, metric in METRICS.items() if metric.buckets},
        "words": words(),
    }
    return render(request, "nous_chat/dashboard.html", {"setup": setup, "nonce": csp_nonce(request)})


@for_watchers
def log(request: HttpRequest, rights: store.StaffRights) -> HttpResponse:
    """The log of all processes."""
    setup = {"socket": f"{addresses.sockets()}dashboard/log/", "words": connection_words() | log_words()}
    context = {"setup": setup, "nonce": csp_nonce(request), "masked": not rights.read, "levels": LEVELS}
    return render(request, "nous_chat/log.html", context)


@for_watchers
def status(request: HttpRequest, rights: store.StaffRights) -> HttpResponse:
    """The state of the system around the chat, as JSON."""
    found = read_status(__version__)
    return HttpResponse(msgspec.json.encode(found), content_type="application/json")


def connection_words() -> dict[str, str]:
    """What both pages say of their socket."""
    return {
        "connecting": _("Connecting."),
        "live": _("Live"),
        "reconnecting": _("The connection was lost. Trying again."),
        "closed": _("You can't see this any more. Reload the page to sign in again."),
    }


def log_words() -> dict[str, str]:
    return {
        "shown": _("{shown} of {kept} lines"),
        "dropped": _("{count} lines were left out, because there were too many."),
        "only": _("Only lines with {name} {value}"),
        "traceback": _("Traceback"),
        "conversation": _("conversation"),
        "run": _("run"),
        "user": _("user"),
    }


def words() -> dict[str, str]:
    """The sentences that the page's script writes. `{name}` stands for a value."""
    return {
        **connection_words(),
        "stop": _("Stop"),
        "stopOf": _("Stop the answer of {agent} in {conversation}"),
        "stopping": _("Stopping"),
        "stopped": _("The answer is stopped."),
        "queued": _("waiting"),
        "running": _("running"),
        "stuck": _("nothing for {seconds} s"),
        "hangs": _("its process does not answer"),
        "isStuck": _("An answer is stuck: {agent}, {conversation}."),
        "answers": _("up"),
        "silent": _("silent for {seconds} s"),
        "draining": _("about to end"),
        "up": _("in touch"),
        "away": _("away"),
        "seconds": _("{value} s"),
        "milliseconds": _("{value} ms"),
        "none": _("none"),
        "never": _("never"),
        "lastFailure": _("{time} ({code})"),
        "breakerClosed": _("closed"),
        "breakerOpen": _("{model}: open in {count} of {all} processes"),
        "breakerHalfOpen": _("{model}: half open in {count} of {all} processes"),
        "statusFailed": _("The state of the system could not be loaded."),
        "answersIn": _("{what}, answers in {time}"),
        "fails": _("{what}, does not answer"),
        "elsewhere": _("not on this server"),
        "free": _("{free} of {total} free"),
        "noMigrations": _("none"),
        "highest": _("{title}: now {now}, at most {most} in the last hour"),
        "median": _("median"),
        "p95": _("95th percentile"),
        "active": _("being made"),
        "waiting": _("waiting"),
        "tokensChart": _("Tokens per second"),
        "runsChart": _("Answers at a time"),
        "firstChart": _("Time to the first token"),
        "lagChart": _("Delay of deltas"),
        "errorsChart": _("Errors per minute"),
        "socketsChart": _("Open sockets"),
        "gapsChart": _("Gaps healed per minute"),
        "slowChart": _("Slow readers per minute"),
        "databaseChart": _("Waiting for the database"),
    }
