"""Every address of the chat in Django's admin, as every kind of user."""

import re
from collections import defaultdict
from dataclasses import dataclass, field
from itertools import chain, product
from typing import Any
from uuid import uuid4

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.db import transaction
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from chat import store
from chat.conf import AgentConf
from chat.engine.providers import recording
from chat.models import Breaker, Budget, Message, Price, Pruning, Run, RunRecording, Spending, StoredAgent

from ..support.authorization import World, build_world, digest, read_table

ROLES = ("anonymous", "member", "staff", "metadata", "viewing", "superuser", "sealed")
"""The columns. `member`: not staff. `staff`: without permissions. `metadata`: with all view permissions but
`view_transcript`; `viewing`: with that one, too. `sealed`: a superuser of a site with SEAL_TRANSCRIPTS.
"""

TABLE = read_table(
    """
                                  anonymous member    staff     metadata  viewing   superuser sealed
    conversation_changelist GET   login     login     403       200       200       200       200
    conversation_changelist POST  login     login     403       200       200       302+      302+
    conversation_changelist:export POST login login 403     200       200       200+      302
    conversation_add        GET   login     login     403       403       403       403       403
    conversation_add        POST  login     login     403       403       403       403       403
    conversation_history    GET   login     login     403       200       200       200       200
    conversation_history    POST  login     login     403       200       200       200       200
    conversation_delete     GET   login     login     403       403       403       200       200
    conversation_delete     POST  login     login     403       403       403       302+      302+
    conversation_change     GET   login     login     403       200       200       200       200
    conversation_change     POST  login     login     403       403       403       302+      302+
    document_changelist     GET   login     login     403       403       200       200       403
    document_changelist     POST  login     login     403       403       200       302+      403
    document_add            GET   login     login     403       403       403       403       403
    document_add            POST  login     login     403       403       403       403       403
    document_history        GET   login     login     403       403       200       200       403
    document_history        POST  login     login     403       403       200       200       403
    document_delete         GET   login     login     403       403       403       200       403
    document_delete         POST  login     login     403       403       403       302+      403
    document_change         GET   login     login     403       403       200+      200+      403
    document_change         POST  login     login     403       403       403       403       403
    run_changelist          GET   login     login     403       200       200       200       200
    run_changelist          POST  login     login     403       200       200       200       200
    run_add                 GET   login     login     403       403       403       403       403
    run_add                 POST  login     login     403       403       403       403       403
    run_history             GET   login     login     403       200       200       200       200
    run_history             POST  login     login     403       200       200       200       200
    run_delete              GET   login     login     403       403       403       403       403
    run_delete              POST  login     login     403       403       403       403       403
    run_change              GET   login     login     403       200       200       200       200
    run_change              POST  login     login     403       403       403       403       403
    spending_changelist     GET   login     login     403       200       200       200       200
    spending_changelist     POST  login     login     403       200       200       200       200
    spending_rows           GET   login     login     403       200       200       200       200
    spending_rows           POST  login     login     403       200       200       200       200
    spending_csv            GET   login     login     403       200       200       200       200
    spending_csv            POST  login     login     403       200       200       200       200
    spending_add            GET   login     login     403       403       403       403       403
    spending_add            POST  login     login     403       403       403       403       403
    spending_history        GET   login     login     403       200       200       200       200
    spending_history        POST  login     login     403       200       200       200       200
    spending_delete         GET   login     login     403       403       403       403       403
    spending_delete         POST  login     login     403       403       403       403       403
    spending_change         GET   login     login     403       200       200       200       200
    spending_change         POST  login     login     403       403       403       403       403
    budget_changelist       GET   login     login     403       200       200       200       200
    budget_changelist       POST  login     login     403       200       200       302+      302+
    budget_add              GET   login     login     403       403       403       200       200
    budget_add              POST  login     login     403       403       403       302+      302+
    budget_history          GET   login     login     403       200       200       200       200
    budget_history          POST  login     login     403       200       200       200       200
    budget_delete           GET   login     login     403       403       403       200       200
    budget_delete           POST  login     login     403       403       403       302+      302+
    budget_change           GET   login     login     403       200       200       200       200
    budget_change           POST  login     login     403       403       403       302+      302+
    price_changelist        GET   login     login     403       200       200       200       200
    price_changelist        POST  login     login     403       200       200       302+      302+
    price_add               GET   login     login     403       403       403       200       200
    price_add               POST  login     login     403       403       403       302+      302+
    price_history           GET   login     login     403       200       200       200       200
    price_history           POST  login     login     403       200       200       200       200
    price_delete            GET   login     login     403       403       403       200       200
    price_delete            POST  login     login     403       403       403       302+      302+
    price_change            GET   login     login     403       200       200       200       200
    price_change            POST  login     login     403       403       403       302+      302+
    breaker_changelist      GET   login     login     403       200       200       200       200
    breaker_changelist      POST  login     login     403       200       200       302+      302+
    breaker_add             GET   login     login     403       403       403       200       200
    breaker_add             POST  login     login     403       403       403       302+      302+
    breaker_history         GET   login     login     403       200       200       200       200
    breaker_history         POST  login     login     403       200       200       200       200
    breaker_delete          GET   login     login     403       403       403       200       200
    breaker_delete          POST  login     login     403       403       403       302+      302+
    breaker_change          GET   login     login     403       200       200       200       200
    breaker_change          POST  login     login     403       403       403       302+      302+
    apitoken_changelist     GET   login     login     403       200       200       200       200
    apitoken_changelist     POST  login     login     403       200       200       302+      302+
    apitoken_add            GET   login     login     403       403       403       200       403
    apitoken_add            POST  login     login     403       403       403       200+      403
    apitoken_history        GET   login     login     403       200       200       200       200
    apitoken_history        POST  login     login     403       200       200       200       200
    apitoken_delete         GET   login     login     403       403       403       200       200
    apitoken_delete         POST  login     login     403       403       403       302+      302+
    apitoken_change         GET   login     login     403       200       200       200       200
    apitoken_change         POST  login     login     403       403       403       403       403
    conversation_transcript GET   login     login     403       403       200+      200+      403
    conversation_transcript POST  login     login     403       403       200+      200+      403
    conversation_live       GET   login     login     403       403       200+      200+      403
    conversation_live       POST  login     login     405       405       405       405       405
    conversation_file       GET   login     login     403       403       200+      200+      403
    conversation_file       POST  login     login     405       405       405       405       405
    conversation_export     GET   login     login     403       403       403       200       403
    conversation_export     POST  login     login     403       403       403       200+      403
    conversation_stop       GET   login     login     405       405       405       405       405
    conversation_stop       POST  login     login     403       403       403       302+      302+
    run_inspect             GET   login     login     403       403       403       200+      403
    run_inspect             POST  login     login     403       403       403       200+      403
    run_recording           GET   login     login     403       403       403       200+      403
    run_recording           POST  login     login     403       403       403       200+      403
    inspection_changelist   GET   login     login     403       200       200       200       200
    inspection_changelist   POST  login     login     403       200       200       302+      200
    inspection_add          GET   login     login     403       403       403       200       403
    inspection_add          POST  login     login     403       403       403       302+      403
    inspection_history      GET   login     login     403       200       200       200       200
    inspection_history      POST  login     login     403       200       200       200       200
    inspection_delete       GET   login     login     403       403       403       200       403
    inspection_delete       POST  login     login     403       403       403       302+      403
    inspection_change       GET   login     login     403       200       200       200       200
    inspection_change       POST  login     login     403       403       403       403       403
    hold_changelist         GET   login     login     403       200       200       200       200
    hold_changelist         POST  login     login     403       200       200       200       200
    hold_add                GET   login     login     403       403       403       200       200
    hold_add                POST  login     login     403       403       403       302+      302+
    hold_history            GET   login     login     403       200       200       200       200
    hold_history            POST  login     login     403       200       200       200       200
    hold_delete             GET   login     login     403       403       403       403       403
    hold_delete             POST  login     login     403       403       403       403       403
    hold_change             GET   login     login     403       200       200       200       200
    hold_change             POST  login     login     403       403       403       403       403
    erasure_changelist      GET   login     login     403       200       200       200       200
    erasure_changelist      POST  login     login     403       200       200       200       200
    erasure_add             GET   login     login     403       403       403       200       200
    erasure_add             POST  login     login     403       403       403       302+      302+
    erasure_history         GET   login     login     403       200       200       200       200
    erasure_history         POST  login     login     403       200       200       200       200
    erasure_delete          GET   login     login     403       403       403       403       403
    erasure_delete          POST  login     login     403       403       403       403       403
    erasure_change          GET   login     login     403       200       200       200       200
    erasure_change          POST  login     login     403       403       403       403       403
    pruning_changelist      GET   login     login     403       200       200       200       200
    pruning_changelist      POST  login     login     403       200       200       200       200
    pruning_add             GET   login     login     403       403       403       403       403
    pruning_add             POST  login     login     403       403       403       403       403
    pruning_history         GET   login     login     403       200       200       200       200
    pruning_history         POST  login     login     403       200       200       200       200
    pruning_delete          GET   login     login     403       403       403       403       403
    pruning_delete          POST  login     login     403       403       403       403       403
    pruning_change          GET   login     login     403       200       200       200       200
    pruning_change          POST  login     login     403       403       403       403       403
    hold_release            GET   login     login     403       403       403       200       200
    hold_release            POST  login     login     403       403       403       302+      302+
    erasure_continue        GET   login     login     405       405       405       405       405
    erasure_continue        POST  login     login     403       403       403       302+      302+
    erasure_receipt         GET   login     login     403       200       200       200       200
    erasure_receipt         POST  login     login     405       405       405       405       405
    storedagent_changelist  GET   login     login     403       403       403       200       200
    storedagent_changelist  POST  login     login     403       403       403       302+      302+
    storedagent_add         GET   login     login     403       403       403       200       200
    storedagent_add         POST  login     login     403       403       403       302+      302+
    storedagent_history     GET   login     login     403       403       403       200       200
    storedagent_history     POST  login     login     403       403       403       200       200
    storedagent_delete      GET   login     login     403       403       403       200       200
    storedagent_delete      POST  login     login     403       403       403       302+      302+
    storedagent_change      GET   login     login     403       403       403       200       200
    storedagent_change      POST  login     login     403       403       403       302+      302+
    storedagent_try         GET   login     login     405       405       405       405       405
    storedagent_try         POST  login     login     403       403       403       200       200
    storedagent_versions    GET   login     login     403       403       403       200       200
    storedagent_versions    POST  login     login     405       405       405       405       405
    storedagent_restore     GET   login     login     405       405       405       405       405
    storedagent_restore     POST  login     login     403       403       403       302+      302+
    """
)


def read_grants(table: str) -> dict[tuple[str, str], list[frozenset[str]]]:
    """The alternative sets of permissions for each address and method."""
    found: dict[tuple[str, str], list[frozenset[str]]] = defaultdict(list)
    for name, methods, *words in (line.split() for line in table.strip().splitlines()):
        for method in ("GET", "POST") if methods == "*" else (methods,):
            found[name, method] += [frozenset(each.split()) for each in " ".join(words).split("|")]
    return found


GRANTS = read_grants(
    """
    conversation_changelist GET   view_conversation | change_conversation
    conversation_changelist POST  view_conversation delete_conversation | change_conversation delete_conversation
    conversation_changelist:export POST view_conversation export_transcript | change_conversation export_transcript
    conversation_history    *     view_conversation | change_conversation
    conversation_delete     *     delete_conversation
    conversation_change     GET   view_conversation | change_conversation
    conversation_change     POST  change_conversation
    conversation_transcript *     view_conversation view_transcript | change_conversation view_transcript
    conversation_live       GET   view_conversation view_transcript | change_conversation view_transcript
    conversation_file       GET   view_conversation view_transcript | change_conversation view_transcript
    conversation_export     *     view_conversation export_transcript | change_conversation export_transcript
    conversation_stop       POST  view_conversation stop_run | change_conversation stop_run
    document_changelist     GET   view_document view_transcript | change_document view_transcript
    document_changelist     POST  view_document delete_document view_transcript
    document_changelist     POST  change_document delete_document view_transcript
    document_history        *     view_document view_transcript | change_document view_transcript
    document_delete         *     delete_document view_transcript
    document_change         GET   view_document view_transcript | change_document view_transcript
    run_changelist          *     view_run | change_run
    run_history             *     view_run | change_run
    run_change              GET   view_run | change_run
    spending_changelist     *     view_spending | change_spending
    spending_rows           *     view_spending | change_spending
    spending_csv            *     view_spending | change_spending
    spending_history        *     view_spending | change_spending
    spending_change         GET   view_spending | change_spending
    budget_changelist       GET   view_budget | manage_budgets
    budget_changelist       POST  manage_budgets
    budget_add              *     manage_budgets
    budget_history          *     view_budget | manage_budgets
    budget_delete           *     manage_budgets
    budget_change           GET   view_budget | manage_budgets
    budget_change           POST  manage_budgets
    price_changelist        GET   view_price | manage_budgets
    price_changelist        POST  manage_budgets
    price_add               *     manage_budgets
    price_history           *     view_price | manage_budgets
    price_delete            *     manage_budgets
    price_change            GET   view_price | manage_budgets
    price_change            POST  manage_budgets
    breaker_changelist      GET   view_breaker | manage_breakers
    breaker_changelist      POST  manage_breakers
    breaker_add             *     manage_breakers
    breaker_history         *     view_breaker | manage_breakers
    breaker_delete          *     manage_breakers
    breaker_change          GET   view_breaker | manage_breakers
    breaker_change          POST  manage_breakers
    apitoken_changelist     GET   view_apitoken | change_apitoken
    apitoken_changelist     POST  view_apitoken delete_apitoken | change_apitoken delete_apitoken
    apitoken_add            *     add_apitoken view_transcript
    apitoken_history        *     view_apitoken | change_apitoken
    apitoken_delete         *     delete_apitoken
    apitoken_change         GET   view_apitoken | change_apitoken
    run_inspect             *     view_run view_transcript inspect_runs | change_run view_transcript inspect_runs
    run_recording           *     view_run export_transcript inspect_runs | change_run export_transcript inspect_runs
    inspection_changelist   GET   view_inspection | inspect_runs
    inspection_changelist   POST  inspect_runs
    inspection_add          *     inspect_runs
    inspection_history      *     view_inspection | inspect_runs
    inspection_delete       *     inspect_runs
    inspection_change       GET   view_inspection | inspect_runs
    hold_changelist         *     view_hold | change_hold | manage_retention
    hold_add                *     manage_retention
    hold_history            *     view_hold | change_hold | manage_retention
    hold_change             GET   view_hold | change_hold | manage_retention
    hold_release            *     manage_retention
    erasure_changelist      *     view_erasure | change_erasure | manage_retention
    erasure_add             *     manage_retention
    erasure_history         *     view_erasure | change_erasure | manage_retention
    erasure_change          GET   view_erasure | change_erasure | manage_retention
    erasure_continue        POST  manage_retention
    erasure_receipt         GET   view_erasure | change_erasure | manage_retention
    pruning_changelist      *     view_pruning | change_pruning | manage_retention
    pruning_history         *     view_pruning | change_pruning | manage_retention
    pruning_change          GET   view_pruning | change_pruning | manage_retention
    storedagent_changelist  *     manage_agents
    storedagent_add         *     manage_agents
    storedagent_history     *     manage_agents
    storedagent_delete      *     manage_agents
    storedagent_change      *     manage_agents
    storedagent_try         POST  manage_agents
    storedagent_versions    GET   manage_agents
    storedagent_restore     POST  manage_agents
    """
)
"""What is needed for what the table grants to superusers: all permissions of one of these sets. `*`: GET and POST."""


def names() -> set[str]:
    """The names of all addresses that admins of the chat's models add, without the prefix of the app."""
    models = [model for model in apps.get_app_config("nous_chat").get_models() if admin.site.is_registered(model)]
    patterns = [pattern for model in models for pattern in admin.site.get_model_admin(model).get_urls()]
    return {pattern.name.removeprefix("nous_chat_") for pattern in patterns if pattern.name}


def test_every_address_is_in_the_table() -> None:
    assert {name.partition(":")[0] for name, _ in TABLE} == names()


def test_every_answer_to_superusers_has_its_permissions() -> None:
    assert set(GRANTS) == {row for row, cells in TABLE.items() if cells["superuser"][:3] in ("200", "302")}


@dataclass
class Office:
    """The rows that the addresses are about."""

    world: World
    rows: dict[str, Any]
    args: dict[str, list[Any]]
    before: dict[str, list[str]] = field(default_factory=dict)

    def request(self, client: Client, name: str, method: str) -> str:
        """What the table says of an answer. Undoes what it changes."""
        model, page = name.rsplit("_", 1)
        address, _, variant = page.partition(":")
        row = [] if address in ("changelist", "add", "rows", "csv", "try") else [self.rows[model]]
        url = reverse(f"admin:nous_chat_{model}_{address}", args=[*row, *self.args.get(address, [])])
        with transaction.atomic():
            given = form(model, variant or address, self.rows[model])
            answer = client.generic(method, url) if method == "GET" else client.post(url, given)
            changed = digest() != self.before
            transaction.set_rollback(True)
        login = re.match(r"/admin/login/", answer.get("Location", ""))
        return ("login" if login else str(answer.status_code)) + "+" * changed


@pytest.fixture
def office(db: None, django_user_model: Any) -> Office:
    world = build_world("owner")
    store.create_agent(None, "clerk", AgentConf(name="Clerk"))
    store.change_agent(None, "clerk", AgentConf(name="Changed"), enabled=True)
    spending = Spending.objects.create(day="2026-01-01", user=world.users["owner"], conversation=world.room)
    since, content = timezone.now(), recording.encode(recording.RecordedRun(0, [], []))
    RunRecording.objects.create(run=world.run, since=since, content=content)
    people = {name: django_user_model.objects.create_user(name) for name in ("erin", "finn", "gail")}
    rows: dict[str, Any] = {
        "conversation": world.room.pk,
        "message": Message.objects.get(run=world.run).pk,
        "document": world.document,
        "run": Run.objects.get().pk,
        "spending": spending.pk,
        "apitoken": world.api_token.pk,
        "budget": Budget.objects.create(scope="user", tokens=1).pk,
        "price": Price.objects.create(model="a:b", valid_from="2026-01-01", input=1, output=2).pk,
        "breaker": Breaker.objects.create(model="a:b").pk,
        "inspection": store.start_inspection(None, 1),
        "hold": store.place_hold(None, "Case", user=people["erin"].pk),
        "erasure": store.begin_erasure(people["finn"]).pk,
        "pruning": Pruning.objects.create(day="2026-01-01").pk,
        "storedagent": StoredAgent.objects.get().pk,
    }
    return Office(world, rows, {"stop": [world.run.pk], "file": [world.sent.pk], "restore": [1]})


@pytest.mark.parametrize("role", ROLES)
def test_everybody_gets_the_answers_of_the_table(
    office: Office, settings: Any, django_user_model: Any, role: str
) -> None:
    settings.NOUS_CHAT = {**getattr(settings, "NOUS_CHAT", {}), "SEAL_TRANSCRIPTS": role == "sealed"}
    client = Client()
    if role != "anonymous":
        client.force_login(user_for(role, office.world, django_user_model))
    office.before, wrong = digest(), []
    for (name, method), cells in TABLE.items():
        if (found := office.request(client, name, method)) != cells[role]:
            wrong.append(f"{name} {method}: {found} instead of {cells[role]}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("model", sorted({name.rsplit("_", 1)[0] for name, _ in GRANTS}))
def test_each_permission_is_needed_and_together_they_are_enough(office: Office, model: str) -> None:
    """Those of the table get what superusers get; all others of the chat together do not."""
    rows = {row: sets for row, sets in GRANTS.items() if row[0].rsplit("_", 1)[0] == model}
    everything = frozenset(
        Permission.objects.filter(content_type__app_label="nous_chat").values_list("codename", flat=True)
    )
    others = {row: [everything - each for each in _block(sets)] for row, sets in rows.items()}
    clients = {given: client_with(given) for given in {*chain(*rows.values(), *others.values())}}
    office.before, wrong = digest(), []
    for row, sets in rows.items():
        expected = TABLE[row]["superuser"]
        for given in sets:
            if (found := office.request(clients[given], *row)) != expected:
                wrong.append(f"{row} with {sorted(given)}: {found} instead of {expected}")
        shows_list = row[0].partition(":")[0] == f"{model}_changelist" and row[1] == "POST"
        for given in others[row]:
            found = office.request(clients[given], *row)
            # A list without the permission for its action is shown, and nothing is done.
            if found != "403" and not (shows_list and not found.endswith("+")):
                wrong.append(f"{row} without {sorted(everything - given)}: {found}")
    assert not wrong, "\n".join(wrong)


def _block(sets: list[frozenset[str]]) -> set[frozenset[str]]:
    """The smallest sets that have a permission of each of these: without them, none of these is whole."""
    chosen = {frozenset(each) for each in product(*sets)}
    return {each for each in chosen if not any(other < each for other in chosen)}


def client_with(permissions: frozenset[str]) -> Client:
    user = get_user_model().objects.create_user(str(uuid4()), is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client = Client()
    client.force_login(user)
    return client


def user_for(role: str, world: World, django_user_model: Any) -> Any:
    if role in ("superuser", "sealed"):
        return django_user_model.objects.create_superuser("root")
    user = world.users["member" if role == "member" else "staff"]
    if role in ("metadata", "viewing"):
        views = Permission.objects.filter(codename__startswith="view_")
        user.user_permissions.set(views if role == "viewing" else views.exclude(codename="view_transcript"))
    return user


def form(model: str, page: str, pk: Any) -> dict[str, str]:
    """What somebody would send: deletes everything, or changes the title."""
    if page == "changelist":
        return {"action": "delete_selected", "_selected_action": str(pk), "post": "yes"}
    if page == "delete":
        return {"post": "yes"}
    if page == "export" and model == "conversation":
        selected = {"action": "export_selected", "_selected_action": str(pk)}
        return selected | {"file_format": "jsonl", "reason": "Asked for it"}
    if model == "budget":
        return {"scope": "site", "period": "day", "tokens": "7"}
    return {
        "title": "Mine",
        "hours": "1",
        "mode": "queue",
        "participants-TOTAL_FORMS": "0",
        "participants-INITIAL_FORMS": "0",
        "user": str(get_user_model().objects.get(username="owner").pk),
        "name": "Mine",
        "scopes": "read",
        "model": "demo:tour",
        "setting": "open",
        "valid_from": "2026-02-01",
        "input": "3",
        "output": "4",
        "username": "gail",
        "reason": "Asked for it",
        "confirmed": "yes",
        "slug": "mine",
        "max_turns": "5",
    }
