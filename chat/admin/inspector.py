"""The run inspector's pages in the admin: the timeline of a run, and its recording as files that `demo` replays."""

import io
import zipfile
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
from asgiref.sync import async_to_sync
from django.contrib import admin
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import URLPattern, path, reverse
from django.utils.cache import add_never_cache_headers
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods
from msgspec import Struct
from msgspec.structs import replace

from .. import agents, engine, store
from ..engine.providers import recording
from ..models import Run, ToolCall
from ..permissions import policy
from ..times import to_row
from . import access
from .moments import Described, describe
from .pages import show

MAX_ROWS = 500
"""How many rows of pieces one moment has. If there are more pieces, several share a row."""

MAX_SHOWN = 100_000
"""How much of a request or an answer the page shows, in characters. The download has all of it."""

LONG_PAUSE = 1.0
"""Seconds without anything after which a line of the timeline is marked."""


REPLAY_COMMAND = 'python manage.py nous_ask "..." --model demo:1.sse'


class Piece(Struct, frozen=True):
    """One of many things of a kind, or several that share a row."""

    after: float
    text: str


class Line(Struct, frozen=True, kw_only=True):
    """A line of the timeline."""

    at: datetime
    what: Described
    after: float = 0
    """Seconds since the run was asked for."""
    pause: float = 0
    """Seconds since the line before ended."""
    until: datetime | None = None
    pieces: tuple[Piece, ...] = ()
    unshown: int = 0
    """How many pieces were only counted."""

    @property
    def is_late(self) -> bool:
        return self.pause >= LONG_PAUSE


class InspectorViews(admin.ModelAdmin):
    """The addresses below a run's that show what was recorded of it. Each asks for its permissions, and is noted in the
    log of the conversation.
    """

    def get_urls(self) -> list[URLPattern]:
        pages: list[tuple[str, Any]] = [("inspect", self.inspect_view), ("recording", self.recording_view)]
        urls: list[URLPattern] = [
            path(
                f"<uuid:object_id>/{name}/",
                self.admin_site.admin_view(require_http_methods(["GET", "POST"])(view)),
                name=f"nous_chat_run_{name}",
            )
            for name, view in pages
        ]
        return urls + super().get_urls()

    def run_url(self, name: str, row: Run) -> str:
        """The address of one of a run's pages in this admin site."""
        return reverse(f"admin:nous_chat_run_{name}", args=[row.pk], current_app=self.admin_site.name)

    def inspect_view(self, request: HttpRequest, object_id: UUID) -> HttpResponse:
        row = self._get_undeleted(request, object_id)
        access.check(access.may_read(request))
        if question := access.ask_reason(self, request, row.conversation):
            return question
        access.note(self, request, row.conversation, access.INSPECTED, run=row.pk)
        recordings = [recording.decode(each.content) for each in store.find_recordings(row.pk)]
        lines = _with_pauses(row.created_at, [*_lines_of_row(row), *_lines_of_recordings(recordings)])
        return show(
            self,
            request,
            "run/inspect.html",
            title=_("Inspect the answer"),
            run=row,
            agent=agents.find(row.agent).name,
            lines=lines,
            is_recorded=bool(recordings),
            is_active=row.status in Run.ACTIVE,
            left_out=sum(each.left_out for each in recordings),
            slowest=max(lines, key=lambda line: line.pause),
            can_be_replayed=any(each.can_be_replayed for run in recordings for each in run.exchanges),
            replay_command=REPLAY_COMMAND,
            may_export=access.may_export(request),
        )

    def recording_view(self, request: HttpRequest, object_id: UUID) -> HttpResponse:
        """A ZIP file: the timeline, and for each exchange the two files that `demo` replays."""
        row = self._get_undeleted(request, object_id)
        access.check(access.may_export(request))
        if question := access.ask_reason(self, request, row.conversation):
            return question
        recordings = [recording.decode(each.content) for each in store.find_recordings(row.pk)]
        if not recordings:
            raise Http404
        access.note(self, request, row.conversation, access.DOWNLOADED, run=row.pk)
        response = HttpResponse(_zip(row, recordings), content_type="application/zip")
        response.headers["Content-Disposition"] = f'attachment; filename="run-{row.pk}.zip"'
        response.headers["X-Content-Type-Options"] = "nosniff"
        add_never_cache_headers(response)
        return response

    def _get_undeleted(self, request: HttpRequest, pk: UUID) -> Run:
        """The run, if this user may inspect it. Raises Http404, also if its answer is deleted, or PermissionDenied."""
        row = self.get_queryset(request).select_related("conversation", "message", "launched_by", "stopped_by")
        found: Run | None = row.filter(pk=pk, conversation__deleted_at=None, message__deleted_at=None).first()
        access.check(self.has_view_permission(request, found) and access.may_inspect(request))
        if found is None:
            raise Http404
        return found


def _zip(row: Run, recordings: Iterable[recording.RecordedRun]) -> bytes:
    file, number = io.BytesIO(), 0
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for part, recorded in enumerate(recordings, 1):
            timeline = msgspec.json.encode(replace(recorded, exchanges=[]))
            archive.writestr(f"timeline-{part}.json", msgspec.json.format(timeline))
            for exchange in recorded.exchanges:
                number += 1
                if not exchange.can_be_replayed:
                    continue
                end = async_to_sync(engine.replay)(exchange)
                error = end.error if isinstance(end, engine.Error) else None
                body, metadata = exchange.files(end.result, error)
                archive.writestr(f"{number}.sse", body)
                archive.writestr(f"{number}.json", metadata)
    return file.getvalue()


def _lines_of_row(row: Run) -> Iterator[Line]:
    """What the rows of the run and its tool calls say."""
    asked_by = None if row.launched_by is None else policy().name(row.launched_by)
    asked = _("%(name)s asks for the answer.") % {"name": asked_by} if asked_by else _("The answer is requested.")
    yield Line(at=row.created_at, what=Described(asked))
    if row.started_at is not None:
        begun = max(row.started_at, row.created_at)  # a run that begins at once reads the clock for its start first
        yield Line(at=begun, what=Described(_("A process takes it up.")))
    calls = ToolCall.objects.filter(run=row, decided_at__isnull=False).select_related("decided_by")
    for call in calls:
        name = "" if call.decided_by is None else policy().name(call.decided_by)
        said = _("%(name)s rejects %(tool)s.") if call.status == "rejected" else _("%(name)s approves %(tool)s.")
        said = said if name else _("A decision about %(tool)s is made.")
        yield Line(at=call.decided_at, what=Described(said % {"name": name, "tool": call.name}, call.reason))  # type: ignore[arg-type]
    if row.stop_requested_at is not None:
        stopped_by = None if row.stopped_by is None else policy().name(row.stopped_by)
        said = _("%(name)s stops it.") % {"name": stopped_by} if stopped_by else _("A stop is requested.")
        yield Line(at=row.stop_requested_at, what=Described(said))
    if row.finished_at is not None:
        said = _("It has ended: %(status)s.") % {"status": row.get_status_display()}
        yield Line(at=row.finished_at, what=Described(said, row.error_detail, is_problem=bool(row.error_code)))


def _lines_of_recordings(recordings: Iterable[recording.RecordedRun]) -> Iterator[Line]:
    for recorded in recordings:
        began_at = to_row(datetime.fromtimestamp(recorded.began_at, UTC))
        for moment in recorded.moments:
            what = describe(moment, recorded.exchanges)
            yield Line(
                at=began_at + timedelta(seconds=moment.at),
                what=replace(what, detail=_cut(what.detail)),
                until=began_at + timedelta(seconds=moment.until) if moment.count else None,
                pieces=tuple(_rows(moment)),
                unshown=moment.count - len(moment.pieces),
            )


def _rows(moment: recording.Moment) -> Iterator[Piece]:
    """Its pieces, after the moment began; several share a row if they are many."""
    each = -(-len(moment.pieces) // MAX_ROWS) or 1
    joined = " " if moment.kind in ("frames", "received") else ""
    for first in range(0, len(moment.pieces), each):
        rows = moment.pieces[first : first + each]
        yield Piece(rows[0][0] - moment.at, joined.join(text for _at, text in rows))


def _cut(text: str) -> str:
    more = len(text) - MAX_SHOWN
    return text if more <= 0 else text[:MAX_SHOWN] + _("… (%(number)s more characters)") % {"number": more}


def _with_pauses(asked_at: datetime, lines: Iterable[Line]) -> list[Line]:
    """The lines in order, each with how long nothing happened before it."""
    shown: list[Line] = []
    quiet_since = asked_at
    for line in sorted(lines, key=lambda line: line.at):
        pause = max(0.0, (line.at - quiet_since).total_seconds())
        shown.append(replace(line, after=(line.at - asked_at).total_seconds(), pause=pause))
        quiet_since = max(quiet_since, line.until or line.at)
    return shown
