"""Admin of legal holds: place them, release them, see the record. `store.holds` does what they say."""

from typing import Any, ClassVar
from uuid import UUID

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.text import Truncator
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from .. import store
from ..models import Conversation, Hold
from ..protocol.errors import Refused
from . import access
from .base import ConversationColumn, Readable, ReadOnly
from .filters import UserFilter, find_users
from .pages import show

SHOWN_CHARS = 80
"""How much of a reason the list shows."""


class ReasonForm(forms.Form):
    reason = forms.CharField(label=gettext_lazy("Reason"), max_length=2000, widget=forms.Textarea(attrs={"rows": 3}))


class HoldForm(ReasonForm):
    conversation = forms.UUIDField(
        label=gettext_lazy("Conversation"), required=False, help_text=gettext_lazy("The ID of a conversation.")
    )
    username = forms.CharField(
        label=gettext_lazy("Or person"),
        required=False,
        help_text=gettext_lazy("A username: all conversations that this person takes part in or has written in."),
    )
    field_order = ["conversation", "username", "reason"]

    def clean_conversation(self) -> UUID | None:
        key: UUID | None = self.cleaned_data["conversation"]
        if key is not None and not Conversation.objects.filter(pk=key).exists():
            raise forms.ValidationError(_("No conversation with that ID."))
        return key

    def clean_username(self) -> Any:
        """The key of the user, or None."""
        name = self.cleaned_data["username"]
        found = find_users(name) if name else [None]
        if not found:
            raise forms.ValidationError(_("No user with that name."))
        return found[0]


class ActiveFilter(admin.SimpleListFilter):
    title = gettext_lazy("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("active", gettext_lazy("active")), ("released", gettext_lazy("ended"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() not in ("active", "released"):
            return queryset
        return queryset.filter(released_at__isnull=self.value() == "active")


class KeptRecord(ReadOnly, Readable):
    """Records that nobody changes or deletes. Staff who manage retention see them without Django's permission to."""

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return access.may_manage_retention(request) or super().has_view_permission(request, obj)

    def has_add_permission(self, request: HttpRequest, *args: Any) -> bool:
        return access.may_manage_retention(request)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_row(self, request: HttpRequest, pk: UUID) -> Any:
        """Raises Http404."""
        row = self.get_queryset(request).filter(pk=pk).first()
        if row is None:
            raise Http404
        return row

    def page_url(self, name: str, *args: object) -> str:
        """The address of one of the pages of these rows in this admin site."""
        name = f"admin:nous_chat_{self.opts.model_name}_{name}"
        return reverse(name, args=args, current_app=self.admin_site.name)


class HoldAdmin(ConversationColumn, KeptRecord):
    list_display = ["placed_at", "state", "about", "short_reason", "placed_by", "released_at"]
    list_filter = [ActiveFilter, UserFilter]
    list_select_related = ["user", "placed_by"]
    search_fields = ["=conversation__id"]
    search_help_text = gettext_lazy("By the ID of a conversation.")
    fields: ClassVar = [
        *("state", "conversation_link", "user", "reason", "placed_at", "placed_by"),
        *("released_at", "released_by", "release_reason"),
    ]
    readonly_fields: ClassVar = ["state", "conversation_link"]

    class Media:
        css: ClassVar = {"all": ["nous_chat/admin/admin.css"]}

    def get_urls(self) -> list[URLPattern]:
        release = path(
            "<uuid:object_id>/release/",
            self.admin_site.admin_view(self.release_view),
            name="nous_chat_hold_release",
        )
        return [release, *super().get_urls()]

    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        response = super().changeform_view(request, *args, **kwargs)
        if (row := getattr(response, "context_data", {}).get("original")) is not None:
            response.context_data["may_release"] = row.released_at is None and access.may_manage_retention(request)
        return response

    def add_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        access.check(access.may_manage_retention(request))
        form = HoldForm(request.POST or None, initial={name: request.GET.get(name) for name in HoldForm.field_order})
        if form.is_valid():
            given = form.cleaned_data
            about = {"conversation": given["conversation"], "user": given["username"]}
            try:
                key = store.place_hold(request.user, given["reason"], **about)
            except Refused as refused:
                form.add_error(None, str(refused))
            else:
                access.note(self, request, Hold(pk=key), access.PLACED)
                messages.success(request, _("The hold is placed."))
                return HttpResponseRedirect(self.page_url("change", key))
        return show(self, request, "hold/place.html", title=_("Place a hold"), form=form)

    def release_view(self, request: HttpRequest, object_id: UUID) -> HttpResponse:
        access.check(access.may_manage_retention(request))
        row = self.get_row(request, object_id)
        form = ReasonForm(request.POST or None)
        if form.is_valid():
            try:
                store.release_hold(request.user, row.pk, form.cleaned_data["reason"])
            except Refused as refused:
                form.add_error(None, str(refused))
            else:
                access.note(self, request, row, access.RELEASED)
                messages.success(request, _("The hold is released."))
                return HttpResponseRedirect(self.page_url("change", row.pk))
        return show(self, request, "hold/release.html", title=_("Release the hold"), form=form)

    @admin.display(description=gettext_lazy("state"))
    def state(self, row: Hold) -> str:
        if row.released_at is not None:
            return _("ended")
        return format_html('<span class="nous-badge" data-status="running">{}</span>', _("active"))

    @admin.display(description=gettext_lazy("subject"))
    def about(self, row: Hold) -> str:
        if row.user is not None:
            return str(row.user)
        return self.conversation_link(row) if row.conversation_id else _("erased")

    @admin.display(description=gettext_lazy("reason"))
    def short_reason(self, row: Hold) -> str:
        return Truncator(row.reason).chars(SHOWN_CHARS)
