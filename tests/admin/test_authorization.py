"""Every address of the chat in Django's admin, as every kind of user."""

import re
from typing import Any

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.db import transaction
from django.test import Client
from django.urls import reverse

from chat.models import Message, Run, Spending

from ..support.authorization import World, build_world, digest, read_table

ROLES = ("anonymous", "member", "staff", "viewing", "superuser")
"""The columns. `member`: not staff. `staff`: without permissions. `viewing`: staff with all view permissions."""

TABLE = read_table(
    """
                              anonymous member staff viewing superuser
    conversation_changelist GET  login  login  403   200     200
    conversation_changelist POST login  login  403   200     302+
    conversation_add        GET  login  login  403   403     403
    conversation_add        POST login  login  403   403     403
    conversation_history    GET  login  login  403   200     200
    conversation_history    POST login  login  403   200     200
    conversation_delete     GET  login  login  403   403     200
    conversation_delete     POST login  login  403   403     302+
    conversation_change     GET  login  login  403   200     200
    conversation_change     POST login  login  403   403     302+
    message_changelist      GET  login  login  403   200     200
    message_changelist      POST login  login  403   200     302+
    message_add             GET  login  login  403   403     403
    message_add             POST login  login  403   403     403
    message_history         GET  login  login  403   200     200
    message_history         POST login  login  403   200     200
    message_delete          GET  login  login  403   403     200
    message_delete          POST login  login  403   403     302+
    message_change          GET  login  login  403   200     200
    message_change          POST login  login  403   403     403
    document_changelist     GET  login  login  403   200     200
    document_changelist     POST login  login  403   200     302+
    document_add            GET  login  login  403   403     403
    document_add            POST login  login  403   403     403
    document_history        GET  login  login  403   200     200
    document_history        POST login  login  403   200     200
    document_delete         GET  login  login  403   403     200
    document_delete         POST login  login  403   403     302+
    document_change         GET  login  login  403   200     200
    document_change         POST login  login  403   403     403
    run_changelist          GET  login  login  403   200     200
    run_changelist          POST login  login  403   200     302+
    run_add                 GET  login  login  403   403     403
    run_add                 POST login  login  403   403     403
    run_history             GET  login  login  403   200     200
    run_history             POST login  login  403   200     200
    run_delete              GET  login  login  403   403     200
    run_delete              POST login  login  403   403     302+
    run_change              GET  login  login  403   200     200
    run_change              POST login  login  403   403     403
    spending_changelist     GET  login  login  403   200     200
    spending_changelist     POST login  login  403   200     302+
    spending_add            GET  login  login  403   403     403
    spending_add            POST login  login  403   403     403
    spending_history        GET  login  login  403   200     200
    spending_history        POST login  login  403   200     200
    spending_delete         GET  login  login  403   403     200
    spending_delete         POST login  login  403   403     302+
    spending_change         GET  login  login  403   200     200
    spending_change         POST login  login  403   403     403
    apitoken_changelist     GET  login  login  403   200     200
    apitoken_changelist     POST login  login  403   200     302+
    apitoken_add            GET  login  login  403   403     200
    apitoken_add            POST login  login  403   403     200+
    apitoken_history        GET  login  login  403   200     200
    apitoken_history        POST login  login  403   200     200
    apitoken_delete         GET  login  login  403   403     200
    apitoken_delete         POST login  login  403   403     302+
    apitoken_change         GET  login  login  403   200     200
    apitoken_change         POST login  login  403   403     403
    """
)


def names() -> set[str]:
    """The names of all addresses that admins of the chat's models add, without the prefix of the app."""
    models = [model for model in apps.get_app_config("nous_chat").get_models() if admin.site.is_registered(model)]
    patterns = [pattern for model in models for pattern in admin.site.get_model_admin(model).get_urls()]
    return {pattern.name.removeprefix("nous_chat_") for pattern in patterns if pattern.name}


def test_every_address_is_in_the_table() -> None:
    assert {name for name, _ in TABLE} == names()


@pytest.mark.parametrize("role", ROLES)
def test_everybody_gets_the_answers_of_the_table(db: None, django_user_model: Any, role: str) -> None:
    world = build_world("owner")
    spending = Spending.objects.create(day="2026-01-01", user=world.users["owner"], conversation=world.room)
    rows = {
        "conversation": world.room.pk,
        "message": Message.objects.get(run=world.run).pk,
        "document": world.document,
        "run": Run.objects.get().pk,
        "spending": spending.pk,
        "apitoken": world.api_token.pk,
    }
    client = Client()
    if role != "anonymous":
        client.force_login(user_for(role, world, django_user_model))
    before, wrong = digest(), []
    for (name, method), cells in TABLE.items():
        model, page = name.rsplit("_", 1)
        url = reverse(f"admin:nous_chat_{name}", args=[] if page in ("changelist", "add") else [rows[model]])
        with transaction.atomic():
            answer = client.generic(method, url) if method == "GET" else client.post(url, form(page, rows[model]))
            changed = digest() != before
            transaction.set_rollback(True)
        login = re.match(r"/admin/login/", answer.get("Location", ""))
        found = ("login" if login else str(answer.status_code)) + "+" * changed
        if found != cells[role]:
            wrong.append(f"{name} {method}: {found} instead of {cells[role]}")
    assert not wrong, "\n".join(wrong)


def user_for(role: str, world: World, django_user_model: Any) -> Any:
    if role == "superuser":
        return django_user_model.objects.create_superuser("root")
    user = world.users["member" if role == "member" else "staff"]
    if role == "viewing":
        views = Permission.objects.filter(codename__startswith="view_")
        user.user_permissions.set(views)
    return user


def form(page: str, pk: Any) -> dict[str, str]:
    """What somebody would send: deletes everything, or changes the title."""
    if page == "changelist":
        return {"action": "delete_selected", "_selected_action": str(pk), "post": "yes"}
    if page == "delete":
        return {"post": "yes"}
    return {
        "title": "Mine",
        "mode": "queue",
        "participants-TOTAL_FORMS": "0",
        "participants-INITIAL_FORMS": "0",
        "user": str(get_user_model().objects.get(username="owner").pk),
        "name": "Mine",
        "scopes": "read",
    }
