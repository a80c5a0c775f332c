"""What happened at a moment of a recorded run, in words for staff."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from django.template.defaultfilters import filesizeformat
from django.utils.formats import number_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext_lazy
from msgspec import Struct

from ..engine.exceptions import mask
from ..engine.providers.recording import Moment, RecordedExchange
from ..models import Run


class Described(Struct, frozen=True):
    """A sentence, and the text that belongs to it, such as a request."""

    sentence: str
    detail: str = ""
    is_problem: bool = False


SENTENCES: Mapping[str, Any] = {
    # What the engine records (engine/providers/recording.py)
    "request": gettext_lazy("Request %(number)s to %(model)s: %(size)s, to %(address)s"),
    "response": gettext_lazy("Response %(number)s: status %(status)s"),
    "received": ngettext_lazy(
        "%(count)d read from the provider, %(bytes)s", "%(count)d reads from the provider, %(bytes)s", "count"
    ),
    "asked_again": gettext_lazy("The request is sent again without a field that the model refuses."),
    "failed": gettext_lazy("%(model)s does not answer (%(code)s)."),
    "retry": gettext_lazy("The model is asked again in %(seconds)s s."),
    "fallback": gettext_lazy("%(model)s is asked instead."),
    # What the run records (runs/inspection.py, runs/run.py)
    "began": gettext_lazy("The process %(host)s begins."),
    "resumed": gettext_lazy("The process %(host)s continues after the decisions."),
    "text": ngettext_lazy(
        "%(count)d piece of text, %(chars)s characters", "%(count)d pieces of text, %(chars)s characters", "count"
    ),
    "thinking": ngettext_lazy(
        "%(count)d piece of thinking, %(chars)s characters",
        "%(count)d pieces of thinking, %(chars)s characters",
        "count",
    ),
    "arguments": ngettext_lazy(
        "%(count)d piece of arguments, %(chars)s characters",
        "%(count)d pieces of arguments, %(chars)s characters",
        "count",
    ),
    "call": gettext_lazy("The model calls %(tool)s."),
    "result": gettext_lazy("%(tool)s has finished."),
    "result_failed": gettext_lazy("%(tool)s has failed."),
    "finish": gettext_lazy("The model has finished (%(reason)s)."),
    "error": gettext_lazy("The answer fails (%(code)s)."),
    "waiting": gettext_lazy("Readers are told to wait %(seconds)s s (%(code)s)."),
    "answers_instead": gettext_lazy("Readers are told that %(model)s answers instead (%(code)s)."),
    "frames": ngettext_lazy("%(count)d frame sent to readers", "%(count)d frames sent to readers", "count"),
    "reads": gettext_lazy("%(name)s reads."),
    "left": gettext_lazy("%(name)s has left."),
    "readers_unknown": gettext_lazy("The channel layer is away, so it is not known who reads."),
    "synced_opened": gettext_lazy("A page has opened and is sent everything up to frame %(seq)s."),
    "synced_gap": gettext_lazy("A page has missed something and is sent everything up to frame %(seq)s."),
    "synced_behind": gettext_lazy("A page was too slow, and is sent everything up to frame %(seq)s."),
    "cancelled": gettext_lazy("The run is cancelled: %(status)s (%(code)s)."),
    "awaits_approval": gettext_lazy("The answer waits for approval."),
    "ended": gettext_lazy("Readers are told the end: %(status)s."),
    "ended_elsewhere": gettext_lazy("Another process has ended this answer."),
}
"""By the kinds of moments. `%(...)s` are their facts."""

PROBLEMS = ("failed", "error", "result_failed", "readers_unknown", "ended_elsewhere")

FOLDED = ("received", "text", "thinking", "arguments", "frames")
"""Kinds of moments that are many things in a row."""


def describe(moment: Moment, exchanges: Sequence[RecordedExchange]) -> Described:
    """`exchanges` are those of the recording."""
    kind, facts = moment.kind, moment.facts
    if kind in FOLDED:
        return Described(_describe_pieces(moment))
    if kind in ("request", "response"):
        return _describe_exchange(moment, exchanges[facts["exchange"]])
    detail = facts.get("detail") or facts.get("text") or facts.get("arguments") or ""
    if facts.get("usage"):
        detail = _as_json(facts["usage"])
    if "status" in facts:
        facts = facts | {"status": Run.Status(facts["status"]).label, "code": facts.get("code") or "-"}
    sentence = str(SENTENCES.get(kind, kind)) % facts  # a later release may have recorded others
    return Described(sentence, detail, kind in PROBLEMS)


def _describe_pieces(moment: Moment) -> str:
    sizes = {"chars": number_format(moment.size, force_grouping=True), "bytes": filesizeformat(moment.size)}
    counted = SENTENCES[moment.kind] % {"count": moment.count, **sizes}
    seconds = moment.until - moment.at
    if seconds < 0.01:
        return str(counted)
    return _("%(pieces)s, in %(seconds)s s") % {"pieces": counted, "seconds": number_format(seconds, 2)}


def _describe_exchange(moment: Moment, exchange: RecordedExchange) -> Described:
    facts = moment.facts | {"number": moment.facts["exchange"] + 1}
    if moment.kind == "request":
        request = exchange.metadata["request"]
        detail = _("(It is too large to be kept.)") if request is None else _as_json(request)
        return Described(str(SENTENCES["request"]) % (facts | {"size": filesizeformat(facts["bytes"])}), detail)
    match exchange.left_out:
        case "size":
            detail = _("(It is too large to be kept.)")
        case "key":
            detail = _("(It holds the provider's key, and is not kept.)")
        case _:
            detail = mask(exchange.read_body().decode("utf-8", "replace"))
    return Described(str(SENTENCES["response"]) % facts, detail, facts["status"] != 200)


def _as_json(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)
