"""Texts that databases reject, and JSON nested without end, in every input of the HTTP API and of the sockets."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from types import UnionType
from typing import Any, get_type_hints

import pytest
from django.core.files.base import ContentFile
from django.db import connection
from django.test import Client
from django.urls import reverse

from chat import urls
from chat.api.operations import OPERATIONS, CommandBody
from chat.models import ToolCall
from chat.protocol import commands

from ..support.authorization import ADDRESSES, BODIES, KWARGS, World, build_world, fields_of_commands, read_table
from ..support.client import InProcess
from ..support.store_helpers import read_body

ODD = ["a\x00b", "\ud800", "\x1b[31m\u202e\ufffe", "\x7f\x08\r\U0010ffff", "9" * 5000]
"""NUL, which PostgreSQL rejects; lone surrogates, which UTF-8 cannot hold; controls; a number that is too long."""


def body_fields(address: str, method: str) -> tuple[str, ...]:
    """The fields of a request's body, and one that nobody knows."""
    operation = OPERATIONS.get((address, method))
    body = operation and operation.body
    known = body.command.__struct_fields__ if isinstance(body, CommandBody) else getattr(body, "__struct_fields__", ())
    return (*known, "unknown")


METHODS_OF: dict[str, set[str]] = {}
"""The methods of each address, by the table of authorization."""
for row, method in read_table(ADDRESSES):
    METHODS_OF.setdefault(row.partition(":")[0], set()).add(method)


@pytest.fixture(autouse=True)
def unhurried(db: None, settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.NOUS_CHAT = {"COMMAND_RATE": 100_000, "COMMAND_BURST": 100_000}
    settings.MEDIA_ROOT = tmp_path
    monkeypatch.setattr("channels.db.close_old_connections", lambda: None)


@pytest.fixture(autouse=True)
def strict_database(unhurried: None) -> Iterator[None]:
    """This database refuses what PostgreSQL refuses."""

    def check(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        for value in _strings(params):
            if "\x00" in value:
                raise ValueError("A string literal cannot contain NUL (0x00) characters.")
            value.encode()
        return execute(sql, params, many, context)

    with connection.execute_wrapper(check):
        yield


def _strings(params: Any) -> Iterator[str]:
    if isinstance(params, str):
        yield params
    elif isinstance(params, list | tuple):
        for value in params:
            yield from _strings(value)


@pytest.fixture
def world() -> World:
    return build_world("owner")


@pytest.fixture
def owner(world: World) -> Client:
    client = Client(raise_request_exception=False)
    client.force_login(world.users["owner"])
    return client


def test_no_endpoint_fails_on_an_odd_text(owner: Client, world: World) -> None:
    failed = []
    for pattern in urls.urlpatterns:
        kwargs: dict[str, Any] = {}
        for argument in pattern.pattern.converters:
            kwargs |= KWARGS[argument](world, "owner")
        for odd in ODD:
            for name in ("q", "before", "limit"):
                url = reverse(f"nous_chat:{pattern.name}", kwargs=kwargs)
                query = {name: odd.encode("utf-8", "surrogatepass")}
                answer = owner.get(url, query_params=query)
                read_body(answer)
                failed += _failures(answer, pattern.name, name, odd)
            if "token" in kwargs:
                given = kwargs | {"token": odd.replace("\ud800", "%ED%A0%80")}
                url = reverse(f"nous_chat:{pattern.name}", kwargs=given)
                failed += _failures(owner.post(url), pattern.name, "token", odd)
            if str(pattern.name).startswith("api-"):
                for method in sorted({"POST", "PATCH", "PUT"} & METHODS_OF[str(pattern.name)]):
                    for name in body_fields(str(pattern.name), method):
                        valid = BODIES.get((str(pattern.name), method), _nothing)(world, "owner")
                        if "form" not in valid:
                            body = json.dumps(valid | {name: [odd] if name == "agents" else odd})
                            url = reverse(f"nous_chat:{pattern.name}", kwargs=kwargs)
                            answer = owner.generic(method, url, body, "application/json")
                            failed += _failures(answer, pattern.name, name, odd)
    assert not failed, "\n".join(failed)


def test_no_form_fails_on_an_odd_text(owner: Client, world: World) -> None:
    failed = []
    for odd in (odd.encode("utf-8", "surrogatepass").decode("utf-8", "replace") for odd in ODD):
        say = reverse("nous_chat:say", kwargs={"conversation_id": world.room.pk})
        for name in ("text", "client_id", "next"):
            failed += _failures(owner.post(say, {"text": "Hello", name: odd}), "say", name, odd)
        upload = reverse("nous_chat:api-attachments", kwargs={"conversation_id": world.room.pk})
        file = ContentFile(b"text", name="a.txt")
        file.name = f"{odd}.txt"
        failed += _failures(owner.post(upload, {"file": file}), "api-attachments", "name", odd)
        for name in ("username", "password"):
            form = {"username": "owner", "password": "wrong", name: odd}
            failed += _failures(owner.post("/accounts/login/", form), "login", name, odd)
    assert not failed, "\n".join(failed)


def _nothing(world: World, role: str) -> dict[str, Any]:
    return {}


def _failures(answer: Any, where: str | None, name: str, odd: str) -> list[str]:
    if answer.status_code < 500 or answer.status_code == 501:  # the test client cannot stream
        return []
    return [f"{where} {name}={odd[:10]!a}: {answer.status_code}"]


@pytest.mark.parametrize("depth", [985, 5000])
def test_no_endpoint_fails_on_deep_json(owner: Client, world: World, depth: int) -> None:
    deep = "[" * depth + "]" * depth
    for pattern in urls.urlpatterns:
        if str(pattern.name).startswith("api-"):
            kwargs: dict[str, Any] = {}
            for argument in pattern.pattern.converters:
                kwargs |= KWARGS[argument](world, "owner")
            for method in sorted({"POST", "PATCH", "PUT"} & METHODS_OF[str(pattern.name)]):
                for name in body_fields(str(pattern.name), method):
                    url = reverse(f"nous_chat:{pattern.name}", kwargs=kwargs)
                    answer = owner.generic(method, url, f'{{"{name}": {deep}}}', "application/json")
                    assert not _failures(answer, pattern.name, name, "deep")


def test_no_command_fails_on_an_odd_text_or_deep_json(
    scenario: Callable[..., Any], world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chat.node.heartbeat.TICK", 3600)
    deep = json.loads("[" * 900 + "]" * 900)
    failed: list[str] = []

    async def talk() -> None:
        async with InProcess(world.users["owner"], world.room.pk) as owner:
            for kind in commands.COMMANDS:
                tag = str(kind.__struct_config__.tag)
                valid = fields_of_commands(world)[tag]
                for name in [name for name, hint in get_type_hints(kind).items() if _takes_text(hint)]:
                    for number, odd in enumerate([*ODD, deep, {"a": "\x00"}, {"\x00": 1}, {"a": deep}]):
                        ref = f"{tag} {name} {number}"
                        given = {"ref": ref} | valid | {name: odd}
                        await owner.transmit(json.dumps({"type": tag, **given}))
                        await owner.send("ping", ref=f"after {ref}")
                        await owner.answered(f"after {ref}")
                        answers = [event for event in owner.events if event["type"] == "error"]
                        failed.extend(f"{ref}: {error['code']}" for error in answers if error["code"] == "internal")
                        owner.events.clear()

    scenario(talk)
    assert not failed, "\n".join(failed)


def _takes_text(hint: Any) -> bool:
    """Whether a field can hold a text, or JSON."""
    parts = hint.__args__ if isinstance(hint, UnionType) else [hint]
    return any(part in (str, Any) or getattr(part, "__origin__", None) in (str, dict) for part in parts)


def test_a_decision_with_odd_arguments_is_stored_or_refused(scenario: Callable[..., Any], world: World) -> None:
    waiting = str(ToolCall.objects.filter(run=world.run, status="awaiting_approval").values_list("pk", flat=True)[0])

    async def decide(owner: InProcess, arguments: str) -> dict[str, Any]:
        ref = str(len(owner.events))
        fields = f'"call": "{waiting}", "decision": "approve", "arguments": {arguments}, "ref": "{ref}"'
        await owner.transmit(f'{{"type": "tool.decide", {fields}}}')
        return await owner.answered(ref)

    async def talk() -> None:
        async with InProcess(world.users["owner"], world.room.pk) as owner:
            for depth in (101, 500):
                assert (await decide(owner, '{"a":' * depth + "1" + "}" * depth))["code"] == "invalid"
            assert (await decide(owner, json.dumps({"\x00": ["a\x00b"]})))["type"] == "ack"

    scenario(talk)
    assert ToolCall.objects.get(pk=waiting).arguments == {"\ufffd": ["a\ufffdb"]}
