"""Normalisation of histories as they occur in a chat, so that every vendor accepts them."""

from chat.engine import Message, ToolCall
from chat.engine.providers.normalize_history import normalize


def turn_with_calls(*ids: str, text: str = "") -> Message:
    return Message("assistant", text, tool_calls=tuple(ToolCall(identity, "add", {}) for identity in ids))


def result(identity: str, text: str = "1", name: str = "add") -> Message:
    return Message("tool", text, name=name, call_id=identity)


def ids(messages: list[Message]) -> list[tuple[str, ...]]:
    return [tuple(call.id for call in m.tool_calls) if m.tool_calls else (m.call_id,) for m in messages]


def test_a_valid_history_is_unchanged() -> None:
    history = [Message("user", "Hi"), turn_with_calls("a", "b"), result("a"), result("b"), Message("assistant", "Done")]
    assert normalize(history) == history


def test_empty_messages_are_dropped() -> None:
    assert normalize([Message("user", " "), Message("assistant", ""), Message("user", "Hi")]) == [Message("user", "Hi")]


def test_results_are_moved_behind_their_calls_in_the_same_order() -> None:
    late = [turn_with_calls("a", "b"), Message("user", "Well?"), result("b", "2"), result("a", "1")]
    assert normalize(late) == [turn_with_calls("a", "b"), result("a", "1"), result("b", "2"), Message("user", "Well?")]


def test_a_call_without_a_result_gets_a_failed_one() -> None:
    _, result, _ = normalize([turn_with_calls("a"), Message("user", "Well?")])
    assert (result.role, result.call_id, result.failed) == ("tool", "a", True)
    assert "no result" in result.text


def test_a_result_without_a_call_is_dropped() -> None:
    assert normalize([result("x"), Message("user", "Hi"), turn_with_calls("a"), result("a"), result("b")]) == [
        Message("user", "Hi"), turn_with_calls("a"), result("a"),
    ]  # fmt: skip


def test_repeated_missing_and_invalid_ids_are_replaced_consistently() -> None:
    history = [
        turn_with_calls("0"),
        result("0", "one"),
        turn_with_calls("0", ""),
        result("0", "two"),
        result("", "three"),
        turn_with_calls("f.x:0"),
        result("f.x:0"),
    ]
    normalized = normalize(history)
    assert ids(normalized) == [
        ("0",), ("0",), ("call00001", "call00002"), ("call00001",), ("call00002",), ("call00003",), ("call00003",),
    ]  # fmt: skip
    assert [m.text for m in normalized if m.role == "tool"] == ["one", "two", "three", "1"]


def test_short_ids_have_nine_letters_and_digits() -> None:
    history = [turn_with_calls("toolu_01"), result("toolu_01"), turn_with_calls("abcDEF123"), result("abcDEF123")]
    assert ids(normalize(history, short_ids=True)) == [
        ("call00000",), ("call00000",), ("abcDEF123",), ("abcDEF123",),
    ]  # fmt: skip
