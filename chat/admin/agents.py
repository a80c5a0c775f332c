"""Admin of the agents in the database: a form, its versions with differences, and trying what is not saved yet."""

import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Any, ClassVar, TypeVar

import msgspec
from asgiref.sync import async_to_sync
from django.contrib import admin, messages
from django.core.handlers.asgi import ASGIRequest
from django.db.models import F, Prefetch, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.cache import add_never_cache_headers
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_GET, require_POST

from .. import i18n, store
from ..agents import model_of
from ..conf import conf
from ..models import AgentVersion, StoredAgent
from ..protocol.errors import Refused
from ..runs.trial import TrialCall, TrialEnd, TrialEvent, TrialText, TrialThinking, try_agent
from . import access
from .agent_form import AgentForm
from .agent_versions import compare

MANAGE = "nous_chat.manage_agents"

R = TypeVar("R", bound=HttpResponseBase)

EVENTS = "application/x-ndjson"
"""The media type of a trial: each line is a `TrialEvent` in JSON."""

MAX_VERSIONS = 200
"""How many versions the page lists: the newest ones."""


class AgentAdmin(admin.ModelAdmin):
    """All of it needs `manage_agents`: instructions are configuration, which only those read who may change it."""

    form = AgentForm
    change_form_template = "admin/nous_chat/storedagent/change_form.html"
    list_display = ["name", "slug", "model_name", "state", "version", "changed_at"]
    search_fields = ["name", "slug"]
    fieldsets = [
        (None, {"fields": ["name", "slug", "enabled", "description", "picture", "based_on"]}),
        (gettext_lazy("Behaviour"), {"fields": ["instructions", "starters"]}),
        (gettext_lazy("Model"), {"fields": ["model", "fallback", "temperature", "reasoning_effort", "images"]}),
        (gettext_lazy("Tools"), {"fields": ["tools", "documents"]}),
        (gettext_lazy("Limits"), {"fields": ["max_output_tokens", "history_tokens", "max_turns", "total_timeout"]}),
        (gettext_lazy("Who can use it"), {"fields": ["groups"]}),
    ]

    class Media:
        css: ClassVar = {"all": ["nous_chat/admin/admin.css", "nous_chat/admin/agents.css"]}

    def has_module_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm(MANAGE)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm(MANAGE)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm(MANAGE)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm(MANAGE)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm(MANAGE)

    def get_urls(self) -> list[URLPattern]:
        pages: list[tuple[str, Any, str]] = [
            ("try/", require_POST(self.try_view), "try"),
            ("<int:object_id>/versions/", require_GET(self.versions_view), "versions"),
            ("<int:object_id>/restore/<int:number>/", require_POST(self.restore_view), "restore"),
        ]
        urls = [
            path(at, self.admin_site.admin_view(view), name=f"nous_chat_storedagent_{name}") for at, view, name in pages
        ]
        return urls + super().get_urls()

    def url(self, name: str, *args: object) -> str:
        return reverse(f"admin:nous_chat_storedagent_{name}", args=args, current_app=self.admin_site.name)

    def get_queryset(self, request: HttpRequest) -> QuerySet[StoredAgent]:
        current = AgentVersion.objects.filter(number=F("agent__version"))
        rows: QuerySet[StoredAgent] = super().get_queryset(request)
        return rows.prefetch_related(Prefetch("versions", current, to_attr="current"))

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return [] if obj is None else ["slug"]

    def get_prepopulated_fields(self, request: HttpRequest, obj: Any = None) -> dict[str, Any]:
        return {} if obj is not None else {"slug": ["name"]}

    @admin.display(description=gettext_lazy("model"))
    def model_name(self, row: Any) -> str:
        chosen: str | None = next((version.config.get("model") for version in row.current), None)
        return chosen or conf.MODEL

    @admin.display(description=gettext_lazy("state"))
    def state(self, row: StoredAgent) -> str:
        if row.slug in conf.AGENTS:
            return _("hidden by an agent of the settings")
        return _("enabled") if row.enabled else _("disabled")

    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, form_url: str = "", extra_context: Any = None
    ) -> Any:
        context = (extra_context or {}) | {
            "try_url": self.url("try"),
            "words": i18n.catalogue(),
            "try_words": {
                "currency": conf.CURRENCY,
                "tokens": _("tokens"),
                "thinking": _("Thinking"),
                "calls": _("Would call the tool"),
                "stopped": _("Stopped."),
                "away": _("The server could not be reached. Try again."),
            },
        }
        try:
            return super().changeform_view(request, object_id, form_url, context)
        except Refused as refused:  # after the form was checked: somebody else was faster
            messages.error(request, str(refused))
            return HttpResponseRedirect(request.get_full_path())

    def save_model(self, request: HttpRequest, obj: StoredAgent, form: Any, change: bool) -> None:
        if change:
            based_on = form.cleaned_data["based_on"]
            store.change_agent(request.user, obj.slug, form.settings, enabled=obj.enabled, based_on=based_on)
        else:
            store.create_agent(request.user, obj.slug, form.settings, enabled=obj.enabled)
        saved = StoredAgent.objects.get(slug=obj.slug)
        obj.pk, obj.name, obj.version = saved.pk, saved.name, saved.version

    def delete_model(self, request: HttpRequest, obj: StoredAgent) -> None:
        store.delete_agent(request.user, obj.slug)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[StoredAgent]) -> None:
        for slug in queryset.values_list("slug", flat=True):
            store.delete_agent(request.user, slug)

    def get_row(self, request: HttpRequest, pk: int) -> StoredAgent:
        access.check(request.user.has_perm(MANAGE))
        row = StoredAgent.objects.filter(pk=pk).first()
        if row is None:
            raise Http404
        return row

    def versions_view(self, request: HttpRequest, object_id: int) -> HttpResponse:
        """The versions, and what differs between two of them: the newest two, or `from` and `to`."""
        row = self.get_row(request, object_id)
        versions = list(row.versions.select_related("saved_by")[:MAX_VERSIONS])
        numbers = [version.number for version in versions]
        new = _number(request.GET.get("to", ""), numbers[0])
        old = _number(request.GET.get("from", ""), next((each for each in numbers if each < new), new))
        try:
            found = compare(store.get_agent_version(row.slug, old), store.get_agent_version(row.slug, new))
        except Refused as refused:
            raise Http404(str(refused)) from None
        context = {"agent": row, "versions": versions, "old": old, "new": new, "differences": found}
        return self._page(request, "versions", _("Versions of %(agent)s") % {"agent": row.name}, context)

    def restore_view(self, request: HttpRequest, object_id: int, number: int) -> HttpResponse:
        row = self.get_row(request, object_id)
        try:
            saved = store.restore_agent(request.user, row.slug, number)
        except Refused as refused:
            messages.error(request, str(refused))
        else:
            self.log_change(request, row, _("Restored version %(number)s.") % {"number": number})
            messages.success(request, _("Version %(number)s is the current one now.") % {"number": saved})
        return HttpResponseRedirect(self.url("versions", row.pk))

    def try_view(self, request: HttpRequest) -> HttpResponseBase:
        """Answer a prompt as the form says, whether it is saved or not: as a stream of events for the page's script,
        and as a page without it.
        """
        access.check(request.user.has_perm(MANAGE))
        streamed = EVENTS in request.headers.get("Accept", "")
        form, prompt = AgentForm(request.POST), request.POST.get("prompt", "").strip()[: conf.MAX_MESSAGE_CHARS]
        for name in ("slug", "enabled"):
            del form.fields[name]
        problems = [f"{form.fields[name].label}: {found[0]}" for name, found in form.errors.items()]
        if not problems and not prompt:
            problems = [_("Write a message to try the agent with.")]
        remaining: list[Any] = []
        price = None
        if not problems:
            try:
                remaining, price = store.check_trial(request.user, model_of(form.settings))
            except Refused as refused:
                problems = [str(refused)]
        if problems:
            events: list[TrialEvent] = [TrialEnd("", 0, problem=" ".join(problems))]
        else:
            slug = request.POST.get("slug", "")[:100]
            stream = try_agent(request.user, slug, form.settings, prompt, remaining, price)
            if streamed and isinstance(request, ASGIRequest):
                return _uncached(StreamingHttpResponse(_lines(stream), content_type=EVENTS))
            events = async_to_sync(_collect)(stream)
        if streamed:
            return _uncached(HttpResponse(b"".join(map(_line, events)), content_type=EVENTS))
        context = {
            "prompt": prompt,
            "answer": "".join(event.text for event in events if isinstance(event, TrialText)),
            "thinking": "".join(event.text for event in events if isinstance(event, TrialThinking)),
            "calls": [(event.name, json.dumps(event.arguments)) for event in events if isinstance(event, TrialCall)],
            "end": events[-1],
            "currency": conf.CURRENCY,
        }
        return self._page(request, "tried", _("Try it"), context)

    def _page(self, request: HttpRequest, name: str, title: str, context: dict[str, Any]) -> HttpResponse:
        request.current_app = self.admin_site.name  # for `url` in templates
        shared = self.admin_site.each_context(request) | {"opts": self.opts, "title": title}
        response = TemplateResponse(request, f"admin/nous_chat/storedagent/{name}.html", shared | context)
        return _uncached(response)


def _uncached(response: R) -> R:
    add_never_cache_headers(response)
    return response


def _line(event: TrialEvent) -> bytes:
    return msgspec.json.encode(event) + b"\n"


async def _lines(stream: AsyncGenerator[TrialEvent, None]) -> AsyncIterator[bytes]:
    async with aclosing(stream):
        async for event in stream:
            yield _line(event)


async def _collect(stream: AsyncGenerator[TrialEvent, None]) -> list[TrialEvent]:
    async with aclosing(stream):
        return [event async for event in stream]


def _number(text: str, default: int) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 9 else default
