"""Exports from the admin: a button on the transcript, and an action on the list, in the formats of `nous_export`."""

from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from .. import store
from ..conf import conf
from ..models import Conversation
from . import access
from .downloads import download
from .pages import show

MAX_CONVERSATIONS = 500
"""How many conversations the action exports at once. `nous_export` exports any number."""

FORMATS = {
    "jsonl": ("application/jsonl", "jsonl", gettext_lazy("JSON Lines: complete, can be imported")),
    "markdown": ("text/markdown; charset=utf-8", "md", gettext_lazy("Markdown: to read and edit")),
    "html": ("text/html; charset=utf-8", "html", gettext_lazy("HTML: to read in a browser")),
}
"""For each format its type, the ending of its file, and what it is for."""


class ExportForm(forms.Form):
    file_format = forms.ChoiceField(
        label=gettext_lazy("Format"),
        choices=[(name, label) for name, (_type, _ending, label) in FORMATS.items()],
        widget=forms.RadioSelect(attrs={"class": "radiolist"}),  # as the admin styles them
        initial="jsonl",
    )
    reason = forms.CharField(
        label=gettext_lazy("Reason"), max_length=500, required=False, widget=forms.Textarea(attrs={"rows": 3})
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["reason"].required = conf.REQUIRE_REASON


def export(
    model_admin: Any, request: HttpRequest, rows: list[Conversation], action: str | None = None
) -> HttpResponseBase:
    """A form, and when it is sent, the file. `action` is the name of the action if there is one."""
    access.check(access.may_export(request))
    sent = request.method == "POST" and "file_format" in request.POST
    form = ExportForm(request.POST if sent else None)
    if not form.is_valid():
        return _ask(model_admin, request, form, rows, action)
    name = form.cleaned_data["file_format"]
    for row in rows:
        model_admin.note_export(request, row, name, form.cleaned_data["reason"])
    kind, ending, _label = FORMATS[name]
    pieces = store.export(store.Scope(conversations=tuple(row.pk for row in rows), deleted=False), name)
    stem = str(rows[0].pk) if len(rows) == 1 else f"conversations-{timezone.now():%Y-%m-%d}"
    return download(request, pieces, kind, f"{stem}.{ending}")


def _ask(
    model_admin: Any, request: HttpRequest, form: ExportForm, rows: list[Conversation], action: str | None
) -> HttpResponse:
    return show(
        model_admin,
        request,
        "conversation/export.html",
        title=_("Export"),
        form=form,
        rows=rows,
        action=action,
        checkbox=ACTION_CHECKBOX_NAME,
    )


@admin.action(description=gettext_lazy("Export selected conversations"), permissions=["export"])
def export_selected(
    model_admin: Any, request: HttpRequest, queryset: QuerySet[Conversation]
) -> HttpResponseBase | None:
    rows = list(queryset.order_by("pk")[: MAX_CONVERSATIONS + 1])
    if len(rows) > MAX_CONVERSATIONS:
        problem = _("Export at most %(number)s conversations at once, or use the command nous_export.")
        model_admin.message_user(request, problem % {"number": MAX_CONVERSATIONS}, level="error")
        return None
    return export(model_admin, request, rows, "export_selected")
