"""What happened, in a sentence, for the page without JavaScript. The other page says the same (i18n/strings.js)."""

import math
from typing import Final

from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop, ngettext

from ..protocol import objects
from ..runs.document_tools import PROPOSED

DOCUMENT_CALLS: Final = {
    "create_document": (
        gettext_noop("Creating a document"),
        gettext_noop("Creating a document…"),
        gettext_noop("Created a document"),
    ),
    "read_document": (
        gettext_noop("Reading a document"),
        gettext_noop("Reading a document…"),
        gettext_noop("Read a document"),
    ),
    "edit_document": (
        gettext_noop("Editing a document"),
        gettext_noop("Editing a document…"),
        gettext_noop("Edited a document"),
    ),
    "rewrite_document": (
        gettext_noop("Rewriting a document"),
        gettext_noop("Rewriting a document…"),
        gettext_noop("Rewrote a document"),
    ),
}
"""What the tools for documents are called, and what is said while they run, and when they are done."""

SAY_WHEN = ("budget", "busy", "unavailable")
"""The codes of failures whose sentence says when to try again."""


def describe_call(call: objects.Call) -> str:
    """What a tool call has done, or is doing."""
    tool, running, done = DOCUMENT_CALLS.get(call.name, (call.name, "", ""))
    if done:
        tool, running, done = _(tool), _(running), _(done)
        if (call.result or "").startswith(PROPOSED):
            done = _("Proposed changes to a document")
    match call.status:
        case "done":
            return done or _("Used %(tool)s") % {"tool": tool}
        case "running":
            return running or _("Using %(tool)s") % {"tool": tool}
        case "awaiting_approval":
            return _("%(tool)s is waiting for approval") % {"tool": tool}
        case "failed":
            return _("%(tool)s failed") % {"tool": tool}
        case "rejected":
            return _("%(tool)s rejected") % {"tool": tool}
    return _("%(tool)s stopped") % {"tool": tool}


def describe_failure(run: objects.Run) -> str:
    """Why a run has failed, and when to try again. Empty if it has not failed."""
    if run.error is None:
        return ""
    passed = 0.0 if run.finished_at is None else (timezone.now() - run.finished_at).total_seconds()
    seconds = math.ceil((run.error.retry_after or 0) - max(0.0, passed))
    if seconds <= 0 or run.error.code in SAY_WHEN:
        return run.error.message
    return f"{run.error.message} {_try_again(seconds)}"


def _try_again(seconds: int) -> str:
    if seconds < 120:
        return ngettext("Try again in %(seconds)s second.", "Try again in %(seconds)s seconds.", seconds) % {
            "seconds": seconds
        }
    minutes = math.ceil(seconds / 60)
    return ngettext("Try again in %(minutes)s minute.", "Try again in %(minutes)s minutes.", minutes) % {
        "minutes": minutes
    }
