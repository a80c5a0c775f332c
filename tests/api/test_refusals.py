"""Refusals that the tables of tests/support/authorization.py do not hold: tokens, and ids of another conversation."""

import uuid
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from chat import store
from chat.models import Conversation

from ..support.authorization import World, build_world, digest, fields_of_commands
from ..support.client import InProcess
from ..support.store_helpers import begin, end

Scenario = Callable[..., Any]


def test_a_new_token_passes_the_check(people: Any) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(people["ada"])
    url = reverse("nous_chat:api-conversations")
    assert client.post(url, "{}", "application/json").status_code == 403
    token = client.get(reverse("nous_chat:api-token")).json()
    assert token["user"] == str(people["ada"].pk)
    assert client.post(url, "{}", "application/json", headers={"X-CSRFToken": token["csrf"]}).status_code == 201


def test_a_script_gets_json_without_a_session_and_for_a_broken_form(people: Any) -> None:
    conversation = store.create_conversation(people["ada"]).id
    url = reverse("nous_chat:api-attachments", args=[conversation])
    nobody = Client(enforce_csrf_checks=True)
    for headers in ({}, {"Authorization": "Basic YWRhOmFkYQ=="}):
        answer = nobody.post(url, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized")
    ada = Client()
    ada.force_login(people["ada"])
    answer = ada.post(url, "no form", "multipart/form-data")
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid")


@pytest.fixture
def world(people: Any) -> World:
    return build_world("owner")


def test_ids_of_another_conversation_look_like_unknown_ids(
    scenario: Scenario, monkeypatch: pytest.MonkeyPatch, people: Any, world: World
) -> None:
    """Ada owns her conversation. Ids from another are useless in it, and their refusals reveal nothing."""
    monkeypatch.setattr("chat.node.heartbeat.TICK", 3600)
    own = store.create_conversation(people["ada"]).id
    end(begin(people["ada"], Conversation.objects.get(pk=own)))
    cases = fields_of_commands(world)
    cases["message.send"]["reply_to"] = str(world.question.pk)
    cases["run.start"]["message"] = str(world.run.message_id)
    before = digest()

    async def talk() -> None:
        async with InProcess(people["ada"], own) as ada:
            for command, fields in cases.items():
                ids = {name for name in fields if name in ("message", "run", "call", "reply_to")}
                if not ids or command == "run.ack":
                    continue
                answers = []
                for given in (fields, fields | dict.fromkeys(ids, str(uuid.uuid4()))):
                    ref = str(uuid.uuid4())
                    await ada.send(command, ref=ref, **given)
                    answers.append(await ada.answered(ref) | {"ref": None})
                assert answers[0] == answers[1], command
                assert (answers[0]["type"], answers[0]["code"]) == ("error", "not_found"), command

    scenario(talk)
    assert digest() == before
