"""Admin of inspections: what the run inspector records, and until when. `inspector` shows what it has recorded."""

from typing import Any, ClassVar
from uuid import UUID

from django import forms
from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from .. import agents, store
from ..models import Inspection
from ..protocol.errors import Refused
from . import access
from .base import ConversationColumn, Readable, ReadOnly
from .pages import show

DEFAULT_HOURS = 2


class InspectionForm(forms.Form):
    agent = forms.ChoiceField(label=gettext_lazy("Agent"), required=False)
    conversation = forms.UUIDField(
        label=gettext_lazy("Conversation"),
        required=False,
        help_text=gettext_lazy("The ID of a conversation. Empty: all conversations."),
    )
    hours = forms.IntegerField(
        label=gettext_lazy("For how many hours"), min_value=1, max_value=store.MAX_HOURS, initial=DEFAULT_HOURS
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        named = [(slug, agent.name) for slug, agent in agents.all_agents().items()]
        field: Any = self.fields["agent"]
        field.choices = [("", _("All agents")), *named]


class InspectionAdmin(ConversationColumn, ReadOnly, Readable):
    """Deleting one ends it. What it has recorded stays until it is too old."""

    list_display = ["started_at", "state", "about", "conversation_link", "started_by", "until"]
    list_select_related = ["started_by"]
    fields: ClassVar = ["state", "about", "conversation_link", "started_at", "started_by", "until"]
    readonly_fields: ClassVar = ["state", "about", "conversation_link"]

    class Media:
        css: ClassVar = {"all": ["nous_chat/admin/admin.css"]}

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return access.may_inspect(request) or super().has_view_permission(request, obj)

    def has_add_permission(self, request: HttpRequest, *args: Any) -> bool:
        return access.may_inspect(request)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return access.may_inspect(request)

    def add_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        access.check(access.may_inspect(request))
        form = InspectionForm(request.POST or None, initial={"hours": DEFAULT_HOURS, **request.GET.dict()})
        if form.is_valid():
            given = form.cleaned_data
            conversation: UUID | None = given["conversation"]
            try:
                key = store.start_inspection(
                    request.user, given["hours"], conversation=conversation, agent=given["agent"]
                )
            except Refused as refused:
                form.add_error(None, str(refused))
            else:
                access.note(self, request, Inspection(pk=key), access.STARTED_INSPECTION)
                messages.success(request, _("Answers that begin from now on are recorded."))
                url = reverse("admin:nous_chat_inspection_changelist", current_app=self.admin_site.name)
                return HttpResponseRedirect(url)
        return show(self, request, "inspection/start.html", title=_("Record answers"), form=form)

    @admin.display(description=gettext_lazy("state"))
    def state(self, row: Inspection) -> str:
        if row.until < timezone.now():
            return _("ended")
        return format_html('<span class="nous-badge" data-status="running">{}</span>', _("active"))

    @admin.display(description=gettext_lazy("agent"))
    def about(self, row: Inspection) -> str:
        return agents.find(row.agent).name if row.agent else _("All agents")
