"""Descriptions of the API for programs, made from the types: OpenAPI 3.1 of the requests, AsyncAPI 3 of the sockets.

They tell nothing of a site's data, so everybody may read them.
"""

from collections.abc import Iterable
from functools import lru_cache
from typing import Any
from uuid import UUID

import msgspec
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_GET

from .. import addresses
from ..protocol import commands, events
from .endpoint import NO_STORE
from .operations import OPERATIONS, PARAMETERS, CommandBody, Operation

VERSION = "1"

_PLACEHOLDERS: dict[str, Any] = {
    "conversation_id": UUID(int=1),
    "message_id": UUID(int=2),
    "run_id": UUID(int=3),
    "call_id": UUID(int=4),
    "invitation_id": UUID(int=5),
    "attachment_id": UUID(int=6),
    "document_id": UUID(int=7),
    "proposal_id": UUID(int=8),
    "participant_id": 7_000_000_007,
    "agent": "an-agent",
    "chat_id": "a-chat",
}
"""Values with which addresses are made; they are replaced by the names of the parameters."""

_REFUSALS = {
    "400": "The request is not valid.",
    "401": "There is no valid token or session.",
    "403": "The user's role, or the token's scopes, do not allow it.",
    "404": "It does not exist, or the user may not see it.",
    "405": "The address does not take this method.",
    "409": "It is not possible now.",
    "413": "The body is too long.",
    "429": "Too many requests, or a budget is used up.",
    "503": "The server cannot do it now.",
}


@require_GET
@login_not_required
def openapi(request: HttpRequest) -> HttpResponse:
    return _response(describe_http(addresses.page("home")))


@require_GET
@login_not_required
def asyncapi(request: HttpRequest) -> HttpResponse:
    return _response(describe_sockets(addresses.sockets()))


def _response(description: dict[str, Any]) -> HttpResponse:
    return HttpResponse(
        msgspec.json.encode(description), content_type="application/json", headers={"Cache-Control": NO_STORE}
    )


@lru_cache(maxsize=8)
def describe_http(home: str) -> dict[str, Any]:
    """The OpenAPI document of a chat whose pages are below `home`."""
    types = [kind for operation in OPERATIONS.values() for kind in _types_of(operation)]
    refusals = [operation.refusal for operation in OPERATIONS.values()]
    schemas, components = _make_schemas([*types, *refusals])
    paths: dict[str, dict[str, Any]] = {}
    for (name, method), operation in OPERATIONS.items():
        parameters = PARAMETERS.get(name, ("conversation_id",))
        path = addresses.page(name, *(_PLACEHOLDERS[each] for each in parameters))
        for each in parameters:
            path = path.replace(str(_PLACEHOLDERS[each]), f"{{{each}}}")
        path = f"/{path.removeprefix(home)}"
        paths.setdefault(path, {})[method.lower()] = _describe(name, method, operation, parameters, schemas, components)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Nous Chat", "version": VERSION},
        "servers": [{"url": home.rstrip("/") or "/"}],
        "security": [{"token": []}, {"session": []}],
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer"},
                "session": {"type": "apiKey", "in": "cookie", "name": "sessionid"},
            },
        },
    }


def _types_of(operation: Operation) -> list[Any]:
    body = operation.body.command if isinstance(operation.body, CommandBody) else operation.body
    return [kind for kind in (operation.answer, body) if kind is not None]


def _describe(
    name: str,
    method: str,
    operation: Operation,
    parameters: tuple[str, ...],
    schemas: dict[Any, Any],
    components: dict[str, Any],
) -> dict[str, Any]:
    described: dict[str, Any] = {
        "summary": operation.summary,
        "operationId": f"{method.lower()}-{name.removeprefix('api-')}",
        "parameters": [
            *({"name": each, "in": "path", "required": True, "schema": _schema_of(each)} for each in parameters),
            *(
                {"name": each, "in": "query", "required": each == "q", "schema": schema}
                for each, schema in operation.query.items()
            ),
        ],
        "responses": {
            str(operation.status): _answer(operation, schemas),
            **({"204": {"description": operation.nothing}} if operation.nothing else {}),
            **{
                status: {"description": text, "content": _refusal(status, schemas[operation.refusal])}
                for status, text in _REFUSALS.items()
            },
        },
    }
    if operation.media == "stream":
        described["parameters"].append({"name": "Last-Event-ID", "in": "header", "schema": {"type": "string"}})
    if operation.form:
        file = {"type": "object", "required": ["file"], "properties": {"file": {}}}
        described["requestBody"] = {"required": True, "content": {"multipart/form-data": {"schema": file}}}
    elif operation.body is not None:
        schema = schemas[_types_of(operation)[-1]]
        if isinstance(operation.body, CommandBody):
            schema = _without(components, schema, {"type", *operation.body.without})
        fields = _resolve(components, schema)
        content = {"application/json": {"schema": schema}}
        # An empty body counts as `{}` (`json_body`).
        described["requestBody"] = {"required": bool(fields.get("required")), "content": content}
    return described


def _refusal(status: str, schema: dict[str, Any]) -> dict[str, Any]:
    if status == "405":
        return {"text/html": {}}
    content: dict[str, Any] = {"application/json": {"schema": schema}}
    if status in ("403", "404"):
        # Pages of the site: a session without a valid CSRF token, and an id in the address that is none.
        content["text/html"] = {}
    return content


def _schema_of(parameter: str) -> dict[str, str]:
    if isinstance(_PLACEHOLDERS[parameter], int):
        return {"type": "integer"}
    if isinstance(_PLACEHOLDERS[parameter], str):
        return {"type": "string"}
    return {"type": "string", "format": "uuid"}


def _answer(operation: Operation, schemas: dict[Any, Any]) -> dict[str, Any]:
    if operation.media == "file":
        return {"description": "The file.", "content": {"*/*": {}}}
    if operation.media == "stream":
        content = {"text/event-stream": {"schema": {"type": "string"}}}
        return {"description": "Events. The `data` of each is a frame (asyncapi.json).", "content": content}
    if operation.media == "events":
        return {
            "description": "Events (docs/api.md).",
            "content": {"text/event-stream": {"schema": {"type": "string"}}},
        }
    if operation.answer is None:
        return {"description": "Done."}
    content = {"application/json": {"schema": schemas[operation.answer]}}
    if operation.media == "json or stream":
        content["text/event-stream"] = {"schema": {"type": "string"}}
    return {"description": "The result.", "content": content}


def _resolve(components: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    """A schema, found by its reference if it is one."""
    return components[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema


def _without(components: dict[str, Any], reference: dict[str, Any], names: set[str]) -> dict[str, Any]:
    """The schema of a command without some of its fields."""
    schema = _resolve(components, reference)
    properties = {name: each for name, each in schema["properties"].items() if name not in names}
    required = [name for name in schema["required"] if name not in names]
    return {"type": "object", "properties": properties, "required": required}


@lru_cache(maxsize=8)
def describe_sockets(path: str) -> dict[str, Any]:
    """The AsyncAPI document of a chat whose sockets are below `path`."""
    # There is a command and an event `Typing`.
    schemas, components = _make_schemas(commands.COMMANDS, "Command")
    for_events, components_of_events = _make_schemas(events.EVENTS)
    schemas |= for_events
    components |= components_of_events
    messages = {
        reference["$ref"].rpartition("/")[2]: {
            "name": kind.__struct_config__.tag,
            "contentType": "application/json",
            "payload": reference,
        }
        for kind, reference in schemas.items()
    }

    def names(kinds: Any) -> list[str]:
        return [schemas[kind]["$ref"].rpartition("/")[2] for kind in kinds]

    of_inbox = [
        events.InboxSnapshot,
        events.ConversationUpdated,
        events.ConversationRemoved,
        events.Typing,
        events.Error,
        events.Notice,
        events.Closing,
        events.Pong,
    ]
    of_conversation = [kind for kind in events.EVENTS if kind not in (events.InboxSnapshot, events.ConversationRemoved)]
    channels: dict[str, dict[str, Any]] = {
        "conversation": {
            "address": f"{path}{{conversation_id}}/",
            "parameters": {"conversation_id": {"description": "The id of a conversation, a UUID."}},
        },
        "inbox": {"address": path},
    }
    taken = {"conversation": (commands.COMMANDS, of_conversation), "inbox": ((commands.Ping,), of_inbox)}
    operations: dict[str, Any] = {}
    for channel, (received, sent) in taken.items():
        channels[channel]["messages"] = {
            name: {"$ref": f"#/components/messages/{name}"} for name in [*names(received), *names(sent)]
        }
        for action, kinds in (("receive", received), ("send", sent)):
            operations[f"{action}-{channel}"] = {
                "action": action,
                "channel": {"$ref": f"#/channels/{channel}"},
                "messages": [{"$ref": f"#/channels/{channel}/messages/{name}"} for name in names(kinds)],
            }
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "Nous Chat", "version": VERSION},
        "defaultContentType": "application/json",
        "channels": channels,
        "operations": operations,
        "components": {"messages": messages, "schemas": components},
    }


def _make_schemas(types: Iterable[Any], suffix: str = "") -> tuple[dict[Any, Any], dict[str, Any]]:
    """A schema for each type, by type; and what they refer to, by the names of the classes with this suffix."""
    kinds = list(dict.fromkeys(types))
    template = f"#/components/schemas/{{name}}{suffix}"
    made, components = msgspec.json.schema_components(kinds, ref_template=template)
    return dict(zip(kinds, made, strict=True)), {f"{name}{suffix}": each for name, each in components.items()}
