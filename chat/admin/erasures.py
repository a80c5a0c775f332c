"""Admin of erasures: erase a user, after a dry run, and keep the receipt. `store.erasure` does it.

Each request erases for a moment, and the page asks for the next one until all is done, so no request takes long and no
server has to be told. What a closed page leaves undone is continued here or by `nous_erase`.
"""

import time
from typing import Any, ClassVar
from uuid import UUID

from django import forms
from django.contrib import admin, messages
from django.contrib.auth import get_user_model
from django.db import OperationalError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.urls import URLPattern, path
from django.utils.cache import add_never_cache_headers
from django.utils.formats import number_format
from django.utils.html import format_html, format_html_join
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_GET, require_POST

from .. import store
from ..concurrency import outside_transaction
from ..models import Erasure
from ..protocol.errors import ErrorCode, Refused
from ..store.unit_of_work import is_lock_timeout
from . import access
from .filters import find_users
from .holds import KeptRecord
from .pages import show

ERASE_SECONDS = 1.0
"""How long one request erases. It ends after the transaction that reaches it."""

STEPS = {
    "conversations": gettext_lazy("Conversations that nobody else is or has written in"),
    "recordings": gettext_lazy("Recordings of answers in shared conversations"),
    "names": gettext_lazy("Notes and answers that name the person"),
    "titles": gettext_lazy("Shared conversations whose titles and summaries are checked"),
    "versions": gettext_lazy("Documents that name the person in their titles or versions"),
    "proposals": gettext_lazy("Proposals of agents to the person"),
    "documents": gettext_lazy("Documents that only this person has changed"),
    "logs": gettext_lazy("Histories of documents that others have changed as well"),
    "attachments": gettext_lazy("Files"),
    "edits": gettext_lazy("Earlier texts of messages"),
    "decisions": gettext_lazy("Decisions about tool calls"),
    "answers": gettext_lazy("Answers that the person asked for"),
    "messages": gettext_lazy("Messages"),
    "runs": gettext_lazy("Runs, whose figures stay"),
}
"""What an erasure counts, in this order."""


def label_counts(counts: dict[str, int]) -> list[tuple[Any, str]]:
    known = [(label, counts[name]) for name, label in STEPS.items() if name in counts]
    return [(label, number_format(number, force_grouping=True)) for label, number in known]


class UsernameForm(forms.Form):
    username = forms.CharField(label=gettext_lazy("Username"))

    def clean_username(self) -> Any:
        """The user."""
        for key in find_users(self.cleaned_data["username"]):
            return get_user_model()._base_manager.get(pk=key)
        raise forms.ValidationError(_("No user with that name."))


class ErasureAdmin(KeptRecord):
    list_display = ["begun_at", "state", "total", "erased_by", "finished_at"]
    list_select_related = ["erased_by"]
    fields: ClassVar = ["id", "state", "begun_at", "finished_at", "erased_by", "erased"]
    readonly_fields: ClassVar = ["id", "state", "erased"]

    class Media:
        css: ClassVar = {"all": ["nous_chat/admin/admin.css"]}

    def get_urls(self) -> list[URLPattern]:
        pages: list[tuple[str, Any]] = [
            ("continue", outside_transaction(require_POST(self.continue_view))),
            ("receipt", require_GET(self.receipt_view)),
        ]
        urls = [
            path(f"<uuid:object_id>/{name}/", self.admin_site.admin_view(view), name=f"nous_chat_erasure_{name}")
            for name, view in pages
        ]
        return urls + super().get_urls()

    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        response = super().changeform_view(request, *args, **kwargs)
        if (row := getattr(response, "context_data", {}).get("original")) is not None:
            response.context_data |= {
                "unfinished": row.user is not None and access.may_manage_retention(request),
                "paused": "paused" in request.GET,
            }
        return response

    def add_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Asks for the person, shows the dry run, and when that is confirmed, begins."""
        access.check(access.may_manage_retention(request))
        form = UsernameForm(request.POST or None)
        plan = None
        if form.is_valid():
            user = form.cleaned_data["username"]
            try:
                if user == request.user:
                    raise Refused(ErrorCode.FORBIDDEN, _("You can't erase your own account here."))
                if "confirmed" in request.POST:
                    receipt = store.begin_erasure(user, request.user)
                    access.note(self, request, receipt, access.ERASED)
                    return HttpResponseRedirect(self.page_url("change", receipt.pk))
                plan = store.plan_erasure(user)
            except Refused as refused:
                form.add_error(None, str(refused))
        return show(
            self,
            request,
            "erasure/erase.html",
            title=_("Erase a user"),
            form=form,
            username=form.data.get("username", ""),
            plan=None if plan is None else label_counts(plan),
        )

    def continue_view(self, request: HttpRequest, object_id: UUID) -> HttpResponse:
        access.check(access.may_manage_retention(request))
        row = self.get_row(request, object_id)
        url = self.page_url("change", row.pk)
        until = time.monotonic() + ERASE_SECONDS
        try:
            for _receipt in store.continue_erasure(row):
                if time.monotonic() > until:
                    break
        except Refused as refused:
            messages.warning(request, str(refused))
            url += "?paused"
        except OperationalError as error:
            if not is_lock_timeout(error):
                raise
        return HttpResponseRedirect(url)

    def receipt_view(self, request: HttpRequest, object_id: UUID) -> HttpResponse:
        """The receipt as a file."""
        access.check(self.has_view_permission(request))
        row = self.get_row(request, object_id)
        receipt = {
            "erasure": row.pk,
            "begun_at": row.begun_at,
            "finished_at": row.finished_at,
            "erased_by": None if row.erased_by is None else row.erased_by.get_username(),
            "counts": row.counts,
        }
        response = JsonResponse(receipt, json_dumps_params={"indent": 2})
        response.headers["Content-Disposition"] = f'attachment; filename="erasure-{row.pk}.json"'
        add_never_cache_headers(response)
        return response

    @admin.display(description=gettext_lazy("state"))
    def state(self, row: Erasure) -> str:
        if row.finished_at is not None:
            return _("complete")
        badge = '<span class="nous-badge" data-status="running">{}</span> {}'
        return format_html(badge, _("incomplete"), row.user or "")

    @admin.display(description=gettext_lazy("rows"))
    def total(self, row: Erasure) -> str:
        return number_format(sum(row.counts.values()), force_grouping=True)

    @admin.display(description=gettext_lazy("erased"))
    def erased(self, row: Erasure) -> str:
        rows = format_html_join("", '<tr><th scope="row">{}</th><td>{}</td></tr>', label_counts(row.counts))
        return format_html('<table class="nous-counts"><tbody>{}</tbody></table>', rows)
