"""Frames from clients become typed commands, or refusals that say what is wrong."""

import json
import uuid

import pytest

from chat.protocol import commands
from chat.protocol.commands import parse
from chat.protocol.errors import Refused

SOME_ID = uuid.UUID(int=1)  # the same in every process: test ids are made of it


def refusal(frame: str | None) -> Refused:
    with pytest.raises(Refused) as caught:
        parse(frame)
    return caught.value


def test_a_frame_becomes_a_typed_command() -> None:
    client_id = uuid.uuid4()
    frame = json.dumps({"type": "message.send", "ref": "7", "client_id": str(client_id), "text": "Hi"})
    assert parse(frame) == commands.MessageSend(ref="7", client_id=client_id, text="Hi", mode=None)


def test_unknown_fields_are_ignored_so_that_newer_clients_work_with_older_servers() -> None:
    assert parse('{"type": "ping", "newer": 1}') == commands.Ping()


@pytest.mark.parametrize(
    "frame", [None, "", "{", "nonsense", "\x00", '{"type": "ping"', "[" * 60_000, '{"type": "run.stop", "run": 5, ]']
)
def test_a_frame_that_is_not_json_is_refused_as_bad_json(frame: str | None) -> None:
    assert refusal(frame).code == "bad_json"


@pytest.mark.parametrize("frame", ["[]", "1", '"ping"', "null", "true"])
def test_json_that_is_not_an_object_is_refused_as_bad_json(frame: str) -> None:
    assert refusal(frame).code == "bad_json"


@pytest.mark.parametrize("frame", ["{}", '{"type": null}', '{"type": "no.such"}', '{"type": 3}', '{"type": ["ping"]}'])
def test_the_refusal_of_an_unknown_command_lists_the_commands(frame: str) -> None:
    refused = refusal(frame)
    assert refused.code == "unknown_command"
    assert "message.send" in str(refused)


@pytest.mark.parametrize(
    ("frame", "field"),
    [
        ('{"type": "message.send", "ref": "r"}', "client_id"),
        ('{"type": "message.send", "ref": "r", "client_id": "x", "text": "hi"}', "client_id"),
        ('{"type": "message.send", "ref": "r", "client_id": "%s", "text": 5}' % SOME_ID, "text"),
        ('{"type": "run.stop", "ref": "r"}', "run"),
        ('{"type": "run.ack", "ref": "r", "run": "%s", "seq": -1}' % SOME_ID, "seq"),
        ('{"type": "history.load", "ref": "r", "before": 1, "limit": 1000}', "limit"),
        ('{"type": "typing", "ref": "r", "on": "yes"}', "on"),
    ],
)
def test_the_refusal_of_an_invalid_field_names_it_and_carries_the_ref(frame: str, field: str) -> None:
    refused = refusal(frame)
    assert (refused.code, refused.ref) == ("invalid", "r")
    assert field in str(refused)


def test_a_frame_that_is_too_long_is_refused_before_parsing() -> None:
    assert refusal("x" * (commands.MAX_FRAME_CHARS + 1)).code == "too_large"


def test_an_invalid_ref_is_not_returned() -> None:
    assert refusal('{"type": "run.stop", "ref": {"a": 1}}').ref is None
    assert refusal('{"type": "nope", "ref": "%s"}' % ("x" * 65)).ref is None
