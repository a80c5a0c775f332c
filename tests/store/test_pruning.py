"""Rules of retention, and `nous_prune`: what is erased, and that the dry run equals the outcome."""

import json
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command
from django.db import connection
from django.utils import timezone
from msgspec.structs import replace

from chat import store
from chat.conf import conf
from chat.models import Attachment, Conversation, Guest, Message, Participant
from chat.store import unit_of_work

from ..support.everything import make_everything, make_guest
from ..support.store_helpers import post

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def media(settings: Any, tmp_path: Path) -> Path:
    settings.MEDIA_ROOT = tmp_path
    return tmp_path


def make_old(row: Conversation, days: float) -> Conversation:
    Conversation.objects.filter(pk=row.pk).update(updated_at=timezone.now() - timedelta(days=days))
    return row


def make_kinds(people: Any, days: float) -> dict[str, Conversation]:
    """A conversation of each kind."""
    found = {"room": make_everything(people["ada"], people["bob"])}
    for kind in ("listed", "unlisted", "guest"):
        key = store.create_conversation(people["ada"]).id
        found[kind] = Conversation.objects.get(pk=key)
        post(people["ada"], found[kind])
    Conversation.objects.filter(pk=found["unlisted"].pk).update(listed=False)
    Participant.objects.create(conversation=found["guest"], user=people["eve"])
    make_guest(people["eve"])
    Conversation.objects.update(expires_at=None)
    Conversation.objects.filter(runs__status="queued").distinct()
    for run in Conversation.objects.filter(runs__isnull=False):
        run.runs.filter(status="queued").update(status="completed")
    return {kind: make_old(row, days) for kind, row in found.items()}


def prune() -> store.Erased:
    """Prune, after the dry run has said the same."""
    now = timezone.now()
    planned = store.plan_pruning(now)
    erased = sum(store.prune(now), store.Erased())
    assert replace(erased, rows=0) == planned
    assert store.plan_pruning(now) == store.Erased(), "nothing is left"
    return erased


def left(kinds: dict[str, Conversation]) -> set[str]:
    keys = set(Conversation.objects.values_list("pk", flat=True))
    return {kind for kind, row in kinds.items() if row.pk in keys}


@pytest.mark.parametrize("kind", ["listed", "room", "guest", "unlisted"])
def test_a_rule_is_for_conversations_of_its_kind(people: Any, settings: Any, kind: str) -> None:
    kinds = make_kinds(people, days=40)
    settings.NOUS_CHAT = {"RETENTION": [{"kind": kind, "max_days": 30}]}
    assert prune().conversations == 1
    assert left(kinds) == kinds.keys() - {kind}


def test_without_rules_nothing_is_too_old(people: Any) -> None:
    kinds = make_kinds(people, days=40_000)
    assert prune().conversations == 0
    assert left(kinds) == kinds.keys()


def test_the_first_rule_that_fits_counts(people: Any, settings: Any) -> None:
    kinds = make_kinds(people, days=40)
    rules = [{"kind": "listed", "max_days": 50}, {"kind": "guest", "max_days": 30}, {"max_days": 45}]
    settings.NOUS_CHAT = {"RETENTION": rules}
    prune()
    assert left(kinds) == kinds.keys() - {"guest"}
    make_old(kinds["unlisted"], 46)
    make_old(kinds["listed"], 46)
    prune()
    assert left(kinds) == {"listed", "room"}


def test_a_rule_can_be_for_an_agent(people: Any, settings: Any) -> None:
    kinds = make_kinds(people, days=40)
    Conversation.objects.filter(pk=kinds["listed"].pk).update(agent="helper")
    settings.NOUS_CHAT = {"RETENTION": [{"agent": "helper", "max_days": 30}]}
    prune()
    assert left(kinds) == kinds.keys() - {"listed"}


def test_nothing_is_erased_before_the_minimum(people: Any, settings: Any) -> None:
    settings.NOUS_CHAT = {"RETENTION": [{"min_days": 30, "max_days": 60}], "GUESTS": {"keep": 0}}
    kinds = make_kinds(people, days=20)
    Guest.objects.update(created_at=timezone.now() - timedelta(days=20))
    long_ago = timezone.now() - timedelta(days=19)
    Conversation.objects.filter(pk=kinds["listed"].pk).update(deleted_at=long_ago)
    Conversation.objects.filter(pk=kinds["unlisted"].pk).update(expires_at=long_ago)
    Message.objects.filter(conversation=kinds["room"].pk).update(deleted_at=long_ago)
    Attachment.objects.update(created_at=long_ago)
    assert prune() == store.Erased()
    for row in kinds.values():
        make_old(row, 31)
    erased = prune()
    assert erased.conversations == 2
    assert erased.contents > 0
    assert left(kinds) == {"room", "guest"}
    assert erased.guests == 1
    for row in kinds.values():
        make_old(row, 61)
    prune()
    assert left(kinds) == set()


def test_conversations_with_an_answer_in_progress_wait(people: Any, room: Conversation, settings: Any) -> None:
    settings.NOUS_CHAT = {"RETENTION": [{"max_days": 30}]}
    post(people["ada"], room)
    make_old(room, 40)
    assert prune() == store.Erased()
    room.runs.update(status="stopped")
    assert prune().conversations == 1


@pytest.mark.usefixtures(
    "patient_locks"
)  # the test is one transaction, so limits of the units of work hold for all of it
def test_the_dry_run_equals_the_outcome_on_a_site(people: Any, settings: Any) -> None:
    call_command("nous_showcase", conversations=400, messages=1500, verbosity=0)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")  # as a database does by itself; statistics of empty tables make for slow plans
    now = timezone.now()
    rules = [{"kind": "guest", "max_days": 100}, {"kind": "room", "min_days": 400}, {"max_days": 200, "min_days": 5}]
    settings.NOUS_CHAT = {"RETENTION": rules}
    Guest.objects.update(created_at=now - timedelta(days=30))
    answers = Message.objects.filter(role="assistant", run__cost__isnull=False).order_by("pk")
    for question, answer in zip(Message.objects.filter(role="user").order_by("pk")[:40], answers[:40], strict=True):
        Message.objects.filter(pk=question.pk).update(deleted_at=now - timedelta(days=1))
        Message.objects.filter(pk=answer.pk).update(replaces=question.pk, deleted_at=now - timedelta(days=1))
    Conversation.objects.filter(deleted_at__isnull=False).update(deleted_at=now - timedelta(days=6))
    kept = Conversation.objects.filter(updated_at__lt=now - timedelta(days=200))[:5]
    for row in list(kept):
        store.place_hold(None, "Case", conversation=row.pk)
    store.place_hold(None, "Case", user=Participant.objects.order_by("pk").values_list("user", flat=True).first())
    assert store.count_held(now) >= 5
    before = Conversation.objects.count()
    erased = prune()
    assert erased.conversations > 50
    assert erased.contents > 5
    assert erased.guests > 0
    assert before - Conversation.objects.count() == erased.conversations
    assert Conversation.objects.filter(holds__isnull=False).count() == 5


@pytest.mark.skipif(connection.vendor != "sqlite", reason="SQLite's planner believes its statistics")
def test_no_batch_reads_a_whole_table_of_messages_or_runs_after_analyze(people: Any, settings: Any) -> None:
    """Nearly all rows of some foreign keys have the same value, NULL."""
    settings.NOUS_CHAT = {"RETENTION": [{"max_days": 1}]}
    call_command("nous_showcase", conversations=40, messages=300, verbosity=0)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
        pretend_to_be_large(cursor)
    plans: dict[str, list[str]] = {}

    def explain(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if sql.startswith(("SELECT", "UPDATE", "DELETE")):
            steps = connection.connection.execute("EXPLAIN QUERY PLAN " + sql.replace("%s", "?"), params or ())
            plans[sql] = [step[3] for step in steps.fetchall()]
        return execute(sql, params, many, context)

    with connection.execute_wrapper(explain):
        list(store.prune(timezone.now()))
    assert not Message.objects.exists()
    assert any("nous_chat_message_replies" in step for steps in plans.values() for step in steps)
    large = re.compile(r"SCAN (nous_chat_(message|run|passage|documentupdate))\b")
    assert [(sql, steps) for sql, steps in plans.items() if any(map(large.match, steps))] == []


def pretend_to_be_large(cursor: Any) -> None:
    """Multiply the rows in the statistics, and those of each value if they are all the same."""
    cursor.execute("SELECT rowid, stat FROM sqlite_stat1 WHERE tbl LIKE 'nous_chat_%%'")
    for key, stat in cursor.fetchall():
        rows, *each = stat.split()
        larger = [f"{rows}000", *(f"{value}000" if value == rows else value for value in each)]
        cursor.execute("UPDATE sqlite_stat1 SET stat = %s WHERE rowid = %s", [" ".join(larger), key])
    cursor.execute("ANALYZE sqlite_schema")  # reads them


def test_commands_give_way_to_other_writers_on_sqlite(
    people: Any, room: Conversation, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.NOUS_CHAT = {"RETENTION": [{"max_days": 1}]}
    make_old(room, 2)
    pauses: list[float] = []
    monkeypatch.setattr("chat.store.unit_of_work.time.sleep", pauses.append)
    for command in (["nous_prune", "--json"], ["nous_clean"], ["nous_erase", "ada", "--json"]):
        before = len(pauses)
        call_command(*command)
        assert (len(pauses) > before) == (connection.vendor == "sqlite" and command != ["nous_clean"]), command
    assert all(0 < pause <= unit_of_work.LONGEST_PAUSE for pause in pauses)


def test_it_can_be_stopped_and_continued(people: Any, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chat.store.retention.BATCH_SIZE", 3)
    settings.NOUS_CHAT = {"RETENTION": [{"max_days": 30}]}
    kinds = make_kinds(people, days=40)
    now = timezone.now()
    planned = store.plan_pruning(now)
    steps = store.prune(now)
    first = next(steps)
    steps.close()
    seen = Conversation.objects.filter(deleted_at=None, pk=kinds["room"].pk).first()
    assert seen is None or seen.messages.count() == 6, "nobody sees half of a conversation"
    rest = sum(store.prune(now), store.Erased())
    assert replace(first + rest, rows=0) == planned
    assert left(kinds) == set()


def test_a_step_is_stored_when_it_is_told(people: Any, room: Conversation, settings: Any) -> None:
    settings.NOUS_CHAT = {"GUESTS": {"keep": 0}}
    make_guest(people["bob"])
    Guest.objects.update(created_at=timezone.now() - timedelta(days=1))
    make_old(room, 1)
    steps = store.prune(timezone.now())
    assert next(steps).guests == 1
    steps.close()
    assert not Guest.objects.exists()


def test_servers_follow_the_rules_as_well(people: Any, settings: Any) -> None:
    settings.NOUS_CHAT = {"RETENTION": [{"max_days": 30}]}
    kinds = make_kinds(people, days=40)
    while store.erase_expired():
        pass
    assert left(kinds) == set()


def test_the_command_says_what_it_does(people: Any, settings: Any, capsys: Any) -> None:
    settings.NOUS_CHAT = {"RETENTION": [{"max_days": 30}]}
    kinds = make_kinds(people, days=40)
    store.place_hold(None, "Case", conversation=kinds["listed"].pk)
    call_command("nous_prune", dry_run=True, json=True)
    planned = json.loads(capsys.readouterr().out)
    assert (planned["dry_run"], planned["conversations"], planned["held"]) == (True, 3, 1)
    assert left(kinds) == kinds.keys()
    call_command("nous_prune", dry_run=True)
    assert "Would erase:\n  conversations: 3" in capsys.readouterr().out
    call_command("nous_prune", json=True)
    assert json.loads(capsys.readouterr().out) == planned | {"dry_run": False}
    assert left(kinds) == {"listed"}
    call_command("nous_prune")
    assert "held: 1 (kept)" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("rule", "problem"),
    [
        ({}, "needs `min_days` or `max_days`"),
        ({"min_days": 2, "max_days": 1}, "must not be more"),
        ({"kind": "secret", "max_days": 1}, "secret"),
        ({"max_days": -1}, ">= 0"),
    ],
)
def test_rules_that_make_no_sense_are_refused(settings: Any, rule: Any, problem: str) -> None:
    settings.NOUS_CHAT = {"RETENTION": [rule]}
    with pytest.raises(ImproperlyConfigured, match=problem):
        _ = conf.RETENTION
