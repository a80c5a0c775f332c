"""The transcript of a conversation in the admin: reads like the chat, by pages, live while an answer is made."""

from datetime import date, datetime, time
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.contrib import admin, messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.cache import add_never_cache_headers
from django.utils.dateparse import parse_date
from django.utils.http import content_disposition_header
from django.utils.timezone import get_current_timezone, make_aware
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST
from msgspec import Struct

from .. import agents, i18n, store
from ..actions import runs
from ..conf import conf
from ..models import Attachment, Conversation, Participant, Run
from ..protocol import objects
from ..protocol.errors import Refused
from ..times import to_row
from . import access
from .export import export, export_selected
from .pages import show

FILE_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox",
    "Cross-Origin-Resource-Policy": "same-origin",
}

MAX_PEOPLE = 20
"""How many participants the page names."""

MAX_RUNS = 100
"""How many runs the list to jump to has: the newest ones."""

MAX_QUERY_CHARS = 200


class TranscriptViews(admin.ModelAdmin):
    """The addresses below a conversation's that show what was written in it. Each asks for its permission, and is noted
    in the log.
    """

    actions = [export_selected]

    def get_urls(self) -> list[URLPattern]:
        pages: list[tuple[str, Any, str]] = [
            ("transcript/", require_http_methods(["GET", "POST"])(self.transcript_view), "transcript"),
            ("transcript/live/", require_GET(self.live_view), "live"),
            ("transcript/files/<uuid:attachment_id>/", require_GET(self.file_view), "file"),
            ("export/", require_http_methods(["GET", "POST"])(self.export_view), "export"),
            ("transcript/stop/<uuid:run_id>/", require_POST(self.stop_view), "stop"),
        ]
        urls: list[URLPattern] = [
            path(f"<uuid:object_id>/{end}", self.admin_site.admin_view(view), name=f"nous_chat_conversation_{name}")
            for end, view, name in pages
        ]
        return urls + super().get_urls()

    def conversation_url(self, name: str, *args: object) -> str:
        """The address of one of a conversation's pages in this admin site."""
        return reverse(f"admin:nous_chat_conversation_{name}", args=args, current_app=self.admin_site.name)

    def get_row(self, request: HttpRequest, pk: UUID) -> Conversation:
        """The conversation, if this user may know of it. Raises Http404 or PermissionDenied."""
        row: Conversation | None = self.get_queryset(request).filter(pk=pk).first()
        access.check(self.has_view_permission(request, row))
        if row is None:
            raise Http404
        return row

    def transcript_view(self, request: HttpRequest, object_id: UUID) -> HttpResponse:
        row = self.get_row(request, object_id)
        access.check(access.may_read(request))
        if question := access.ask_reason(self, request, row):
            return question
        query = request.GET.get("q", "").strip()[:MAX_QUERY_CHARS]
        found = store.search_transcript(row.pk, query) if query else None
        page = store.Transcript([], False, False) if found is not None else self._find_page(request, row)
        if found is not None:
            access.note(self, request, row, access.SEARCHED)
        elif page.entries:
            first, last = page.entries[0].message.seq, page.entries[-1].message.seq
            access.note(self, request, row, access.READ, first=first, last=last)
        title = row.title or _("New conversation")
        context = self._describe(request, row, page) | self._live_context(request, row, page)
        return show(self, request, "conversation/transcript.html", title=title, found=found, query=query, **context)

    def _find_page(self, request: HttpRequest, row: Conversation) -> store.Transcript:
        """The page that the address asks for; else the newest one."""
        given = request.GET
        at = _number(given.get("at", ""))
        if (day := _day(given.get("day", ""))) is not None:
            at = store.find_transcript_day(row.pk, day)
        elif run_id := _uuid(given.get("run", "")):
            at = store.find_transcript_run(row.pk, run_id)
        after = _number(given.get("after", "")) if at is None else at - 1
        return store.read_transcript(row.pk, before=_number(given.get("before", "")), after=after)

    def _describe(self, request: HttpRequest, row: Conversation, page: store.Transcript) -> dict[str, Any]:
        people = Participant.objects.filter(conversation=row).select_related("user")
        named = list(people[: MAX_PEOPLE + 1])
        newest = Run.objects.filter(conversation=row, message__isnull=False).order_by("-created_at")
        numbers = [entry.message.seq for entry in page.entries]
        return {
            "conversation": row,
            "people": [objects.Participant.of(each) for each in named[:MAX_PEOPLE]],
            "more_people": len(named) > MAX_PEOPLE,
            "agents": [agents.find(slug).name for slug in row.agents],
            "runs": newest.only("pk", "created_at", "agent", "status")[:MAX_RUNS],
            "older": urlencode({"before": numbers[0]}) if numbers and page.older else "",
            "newer": urlencode({"after": numbers[-1]}) if numbers and page.newer else "",
            "takes_part": any(each.user_id == request.user.pk for each in named),
            "may_export": access.may_export(request),
            "may_hold": (may_hold := access.may_manage_retention(request)),
            "held": may_hold and store.held_among(Conversation.objects.filter(pk=row.pk)).exists(),
            "words": i18n.catalogue(),
        }

    def _live_context(self, request: HttpRequest, row: Conversation, page: store.Transcript) -> dict[str, Any]:
        """What the page and its live part need to show messages."""
        active = Run.objects.filter(conversation=row, status__in=Run.ACTIVE).first()
        return {
            "conversation": row,
            "entries": [_Shown.of(entry) for entry in page.entries],
            "active": active,
            "may_stop": access.may_stop(request),
            "currency": conf.CURRENCY,
            "newest": not page.newer,
        }

    def live_view(self, request: HttpRequest, object_id: UUID) -> HttpResponse:
        """The messages from number `from` on, as they are now, and the state of the run. The page asks for it again
        and again.
        """
        row = self.get_row(request, object_id)
        access.check(access.may_read(request))
        if access.ask_reason(self, request, row):
            access.check(False)
        access.note_sometimes(self, request, row, access.WATCHED)
        request.current_app = self.admin_site.name
        page = store.read_transcript(row.pk, after=(_number(request.GET.get("from", "")) or 1) - 1)
        response = TemplateResponse(
            request, "admin/nous_chat/conversation/live.html", self._live_context(request, row, page)
        )
        add_never_cache_headers(response)
        return response

    def file_view(self, request: HttpRequest, object_id: UUID, attachment_id: UUID) -> HttpResponseBase:
        row = self.get_row(request, object_id)
        access.check(access.may_read(request))
        if access.ask_reason(self, request, row):
            access.check(False)
        rows = Attachment.objects.filter(conversation=row, message__isnull=False, message__deleted_at=None)
        found = rows.filter(pk=attachment_id).first()
        if found is None:
            raise Http404
        access.note_sometimes(self, request, row, access.OPENED)
        try:
            with found.file.open() as file:
                content = file.read()
        except FileNotFoundError:
            raise Http404 from None
        headers = dict(FILE_HEADERS)
        if disposition := content_disposition_header(not found.is_image, found.name):
            headers["Content-Disposition"] = disposition
        kind = found.type if found.is_image else f"{found.type}; charset=utf-8"
        response = HttpResponse(content, content_type=kind, headers=headers)
        add_never_cache_headers(response)
        return response

    def export_view(self, request: HttpRequest, object_id: UUID) -> HttpResponseBase:
        return export(self, request, [self.get_row(request, object_id)])

    def has_export_permission(self, request: HttpRequest) -> bool:
        """Django asks for the action of the list."""
        return access.may_export(request)

    def note_export(self, request: HttpRequest, row: Conversation, file_format: str, reason: str) -> None:
        access.note(self, request, row, access.EXPORTED, reason, format=file_format)

    def stop_view(self, request: HttpRequest, object_id: UUID, run_id: UUID) -> HttpResponse:
        row = self.get_row(request, object_id)
        access.check(access.may_stop(request))
        try:
            runs.stop_by_staff(request.user.pk, row.pk, run_id)
        except Refused as refused:
            messages.warning(request, str(refused))
        else:
            access.note(self, request, row, access.STOPPED)
            messages.success(request, _("The answer is stopped."))
        page = "transcript" if access.may_read(request) else "change"
        return HttpResponseRedirect(self.conversation_url(page, row.pk))


class _Shown(Struct, frozen=True):
    """A message of a transcript for the template."""

    entry: store.TranscriptEntry
    name: str
    edits: tuple[objects.Edit, ...]
    duration: float | None
    """Seconds from the start of the run to its end."""
    first_token: float | None
    """Seconds from the start of the run to the first token."""

    @classmethod
    def of(cls, entry: store.TranscriptEntry) -> "_Shown":
        message, run = entry.message, entry.message.run
        if message.author is not None:
            name = message.author.name
        elif run is not None:
            name = run.agent.name
        else:
            name = _("Note") if message.role == "system" else _("Deleted account")
        start = None if run is None else run.started_at
        duration = _seconds(start, None if run is None else run.finished_at)
        return cls(entry, name, entry.edits, duration, _seconds(start, entry.first_token_at))

    @property
    def message(self) -> objects.Message:
        return self.entry.message

    @property
    def is_active(self) -> bool:
        return self.message.run is not None and self.message.run.status in Run.ACTIVE

    @property
    def status(self) -> str:
        return "" if self.message.run is None else str(Run.Status(self.message.run.status).label)


def _seconds(start: datetime | None, end: datetime | None) -> float | None:
    return None if start is None or end is None else (end - start).total_seconds()


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 9 else None


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def _day(text: str) -> datetime | None:
    """Midnight of a day in the time zone of the admin, as rows have times."""
    try:
        day: date | None = parse_date(text)
        return None if day is None else to_row(make_aware(datetime.combine(day, time()), get_current_timezone()))
    except (ValueError, OverflowError):
        return None
