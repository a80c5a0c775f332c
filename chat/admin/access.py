"""Who may read what people and models have written, and the record of it in the admin's log.

Metadata (who, when, which model, how many tokens) needs Django's view permissions. Content (titles, messages, files,
documents) needs `view_transcript`, and an export `export_transcript`. `SEAL_TRANSCRIPTS` keeps content from everybody.
"""

import time
from typing import Any

from django import forms
from django.contrib.admin import ModelAdmin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, gettext_noop

from ..conf import conf
from ..i18n import in_site_language
from .pages import show

SESSION_KEY = "nous_chat_reading"
"""In the session: for each row that is being read its reason, and when watching it was noted last."""

REASON_SECONDS = 60 * 60
"""How long a reason that was given for one conversation or document holds."""

NOTE_SECONDS = 10 * 60
"""How often the log notes that somebody goes on watching, or opens files of what they read."""

MAX_READING = 20
"""How many rows a session remembers. The reason for others is asked again."""

VIEW = "nous_chat.view_transcript"
EXPORT = "nous_chat.export_transcript"
STOP = "nous_chat.stop_run"
MANAGE_BUDGETS = "nous_chat.manage_budgets"
INSPECT = "nous_chat.inspect_runs"
MANAGE_BREAKERS = "nous_chat.manage_breakers"
MANAGE_RETENTION = "nous_chat.manage_retention"

READ = gettext_noop("Read messages %(first)s to %(last)s.")
SEARCHED = gettext_noop("Searched the messages.")
WATCHED = gettext_noop("Watched live.")
OPENED = gettext_noop("Opened a file.")
READ_DOCUMENT = gettext_noop("Read the document.")
EXPORTED = gettext_noop("Exported as %(format)s.")
STOPPED = gettext_noop("Stopped an answer.")
STARTED_INSPECTION = gettext_noop("Started the inspection.")
INSPECTED = gettext_noop("Inspected the answer %(run)s.")
DOWNLOADED = gettext_noop("Downloaded the recording of the answer %(run)s.")
PLACED = gettext_noop("Placed the hold.")
RELEASED = gettext_noop("Released the hold.")
ERASED = gettext_noop("Erased a user.")
REASON = gettext_noop("Reason: %(reason)s")


def may_read(request: HttpRequest) -> bool:
    """Whether this user gets to see content."""
    return not conf.SEAL_TRANSCRIPTS and request.user.has_perm(VIEW)


def may_export(request: HttpRequest) -> bool:
    return not conf.SEAL_TRANSCRIPTS and request.user.has_perm(EXPORT)


def may_stop(request: HttpRequest) -> bool:
    return request.user.has_perm(STOP)


def may_inspect(request: HttpRequest) -> bool:
    """Whether this user may have runs recorded. To see what was recorded, they must be allowed to read it as well."""
    return not conf.SEAL_TRANSCRIPTS and request.user.has_perm(INSPECT)


def may_manage_budgets(request: HttpRequest) -> bool:
    return request.user.has_perm(MANAGE_BUDGETS)


def may_manage_breakers(request: HttpRequest) -> bool:
    return request.user.has_perm(MANAGE_BREAKERS)


def may_manage_retention(request: HttpRequest) -> bool:
    """Whether this user may place and release holds, and erase users."""
    return request.user.has_perm(MANAGE_RETENTION)


def check(allowed: bool) -> None:
    """Raises PermissionDenied, which the admin answers with 403."""
    if not allowed:
        raise PermissionDenied


class ReasonForm(forms.Form):
    """The one that REQUIRE_REASON asks for."""

    reason = forms.CharField(label=gettext_lazy("Reason"), max_length=500, widget=forms.Textarea(attrs={"rows": 3}))


def ask_reason(admin: "ModelAdmin[Any]", request: HttpRequest, obj: Any) -> HttpResponse | None:
    """A page that asks for the reason, if the site requires one and none was given; its form leads back here."""
    if not conf.REQUIRE_REASON or _reading(request, obj).get("until", 0) > time.time():
        return None
    form = ReasonForm(request.POST if request.method == "POST" and "reason" in request.POST else None)
    if form.is_valid():
        _remember(request, obj, reason=form.cleaned_data["reason"], until=time.time() + REASON_SECONDS)
        return HttpResponseRedirect(request.get_full_path())
    return show(admin, request, "reason.html", title=_("Why do you need to read this?"), form=form)


def note(admin: "ModelAdmin[Any]", request: HttpRequest, obj: Any, what: str, reason: str = "", **values: Any) -> None:
    """Write into the admin's log that this user reads, watches, exports, or stops, and why."""
    messages = [in_site_language(what) % values]
    if reason := reason or _reading(request, obj).get("reason", ""):
        messages.append(in_site_language(REASON) % {"reason": reason})
    admin.log_change(request, obj, " ".join(messages))


def note_sometimes(admin: "ModelAdmin[Any]", request: HttpRequest, obj: Any, what: str) -> None:
    """The same for what is done again and again: every NOTE_SECONDS."""
    if _reading(request, obj).get(what, 0) + NOTE_SECONDS < time.time():
        note(admin, request, obj, what)
        _remember(request, obj, **{what: time.time()})


def _reading(request: HttpRequest, obj: Any) -> dict[str, Any]:
    found = request.session.get(SESSION_KEY, {}).get(str(obj.pk), {})
    return found if isinstance(found, dict) else {}


def _remember(request: HttpRequest, obj: Any, **values: Any) -> None:
    readings = dict(request.session.get(SESSION_KEY, {}))
    readings[str(obj.pk)] = readings.pop(str(obj.pk), {}) | values  # the newest last
    request.session[SESSION_KEY] = dict(list(readings.items())[-MAX_READING:])
