"""The descriptions of the API are valid and true: real answers and real frames match them."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import transaction
from django.test import Client
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from chat.api.operations import OPERATIONS, PARAMETERS
from chat.api.schema import describe_http, describe_sockets
from chat.asgi import ANSWERED
from chat.models import Conversation
from chat.protocol import commands, events

from ..support.authorization import ADDRESSES, build_world, fields_of_commands, read_table
from ..support.client import InProcess
from ..support.store_helpers import read_body
from .test_authorization import request

TABLE = {key: cells for key, cells in read_table(ADDRESSES).items() if key[1] != "HEAD" and ":" not in key[0]}
HTTP = describe_http("/chat/")
SOCKETS = describe_sockets("/ws/chat/")
DESCRIPTIONS = {"api-openapi", "api-asyncapi"}


def matches(description: dict[str, Any], schema: dict[str, Any], value: Any) -> None:
    Draft202012Validator(schema | {"components": description["components"]}).validate(value)


def schemas_in(part: Any) -> Iterator[str]:
    """All references."""
    if isinstance(part, dict):
        if "$ref" in part:
            yield part["$ref"]
        for each in part.values():
            yield from schemas_in(each)
    elif isinstance(part, list):
        for each in part:
            yield from schemas_in(each)


def resolve(description: dict[str, Any], reference: str) -> Any:
    found: Any = description
    for step in reference.removeprefix("#/").split("/"):
        found = found[step]
    return found


def test_the_description_of_the_requests_is_valid() -> None:
    OpenAPIV31SpecValidator(HTTP).validate()


def test_every_address_and_method_is_described() -> None:
    ours = {key for key in TABLE if key[0].startswith(("api-", "attachment"))}
    assert {key for key in ours if key[0] not in DESCRIPTIONS} == set(OPERATIONS)
    assert set(PARAMETERS) <= {name for name, _ in OPERATIONS}


def test_everybody_may_read_the_descriptions(client: Client) -> None:
    assert client.get("/chat/api/openapi.json").json() == HTTP
    answer = client.get("/chat/api/asyncapi.json")
    assert answer.json() == SOCKETS
    assert answer["Cache-Control"] == "private, no-store"


@pytest.mark.parametrize("role", ["owner", "viewer", "stranger", "anonymous"])
def test_every_answer_matches_its_description(
    db: None, settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, role: str
) -> None:
    settings.NOUS_CHAT = {"COMMAND_RATE": 10_000, "COMMAND_BURST": 10_000}
    settings.MEDIA_ROOT = tmp_path
    monkeypatch.setattr("channels.db.close_old_connections", lambda: None)
    world = build_world(role)
    client = Client()
    if role != "anonymous":
        client.force_login(world.users[role])
    operations = {
        each["operationId"]: each for path in HTTP["paths"].values() for each in path.values() if "operationId" in each
    }
    for name, method in OPERATIONS:
        if "stream" in name or name in ANSWERED:  # 501: they need a server
            continue
        with transaction.atomic():
            answer = request(client, world, name, method, role)
            body = read_body(answer)
            transaction.set_rollback(True)
        described = operations[f"{method.lower()}-{name.removeprefix('api-')}"]["responses"]
        content = described[str(answer.status_code)].get("content", {})
        if "application/json" in content:
            matches(HTTP, content["application/json"]["schema"], json.loads(body))
        else:
            assert content or not body, (name, method)


def test_the_description_of_the_sockets_refers_to_what_exists() -> None:
    for reference in schemas_in(SOCKETS):
        resolve(SOCKETS, reference)
    for schema in SOCKETS["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)
    described = {
        (operation["action"], resolve(SOCKETS, resolve(SOCKETS, message["$ref"])["$ref"])["name"])
        for operation in SOCKETS["operations"].values()
        for message in operation["messages"]
    }
    assert described == {
        *(("receive", kind.__struct_config__.tag) for kind in commands.COMMANDS),
        *(("send", kind.__struct_config__.tag) for kind in events.EVENTS),
    }


def test_commands_and_frames_match_their_description(
    scenario: Callable[..., Any], people: Any, room: Conversation, model: Callable[..., None]
) -> None:
    model("agent")
    payloads: dict[tuple[str, str], list[Any]] = {}
    for operation in SOCKETS["operations"].values():
        channel = operation["channel"]["$ref"]
        for message in operation["messages"]:
            found = resolve(SOCKETS, resolve(SOCKETS, message["$ref"])["$ref"])
            payloads.setdefault((channel + operation["action"], found["name"]), []).append(found["payload"])

    async def talk() -> None:
        async with InProcess(people["ada"], room.pk) as socket, InProcess(people["ada"]) as inbox:
            await socket.say("Hello", ref="1")
            await socket.hear("run.finished")
            await socket.send("ping")
            await socket.send("history.load", before=2)
            await socket.send("run.stop", run=str(room.pk))
            await socket.send("nothing")
            await socket.hear("error", 2)
            await socket.hear("conversation.state")
            await inbox.hear("conversation.updated")
            assert len({event["type"] for event in socket.events}) > 8
            for channel, events_of in (("conversation", socket.events), ("inbox", inbox.events)):
                for event in events_of:
                    (payload,) = payloads[f"#/channels/{channel}send", event["type"]]
                    matches(SOCKETS, payload, event)

    scenario(talk)
    for name, fields in fields_of_commands(build_world("owner")).items():
        (payload,) = payloads["#/channels/conversationreceive", name]
        matches(SOCKETS, payload, {"type": name, **fields})
