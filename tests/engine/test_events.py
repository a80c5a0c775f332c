import msgspec
import pytest

from chat.engine import EngineError, Error, Event, Finish, Message, Result, TextDelta, ThinkingDelta, ToolCall, Usage


def content(event: Event) -> object:
    match event:
        case TextDelta(text):
            return text
        case ThinkingDelta(text):
            return text
        case ToolCall(_, name, arguments):
            return name, arguments
        case Finish(result):
            return result.text
        case Error(error):
            return error.code
        case _:
            raise AssertionError(event)


def test_events_match_by_position() -> None:
    assert content(TextDelta("a")) == "a"
    assert content(ThinkingDelta("b")) == "b"
    assert content(ToolCall("1", "weather", {"city": "Oslo"})) == ("weather", {"city": "Oslo"})
    assert content(Finish(Result("c"))) == "c"
    assert content(Error(EngineError("d", "server_error"), Result())) == "server_error"


@pytest.mark.parametrize(
    ("event", "kind"),
    [
        (TextDelta("a"), "text_delta"),
        (ThinkingDelta("a"), "thinking_delta"),
        (ToolCall("1", "x", {}), "tool_call"),
        (Finish(Result()), "finish"),
    ],
)
def test_each_event_names_its_type_in_json(event: Event, kind: str) -> None:
    assert msgspec.json.decode(msgspec.json.encode(event))["type"] == kind


def test_an_event_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        TextDelta("a").text = "b"  # type: ignore[misc]


def test_usage_adds_what_is_known() -> None:
    assert Usage(1, 2, 3) + Usage(10, 20, 30, 4) == Usage(11, 22, 33, 4, None)
    assert Usage() + Usage() == Usage()
    assert sum([Usage(1), Usage(2)], Usage()) == Usage(3)


def test_a_named_message_gets_its_name_in_front() -> None:
    assert Message("user", "Hi", name="Ada Lovelace").text_with_name == "Ada Lovelace: Hi"
    assert Message("user", "Hi").text_with_name == "Hi"
