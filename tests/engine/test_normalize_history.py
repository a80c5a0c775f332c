"""Histories as they happen in a chat, made such that every vendor takes them."""

from chat.engine import Message, ToolCall
from chat.engine.providers.normalize_history import normalize


def asks(*ids: str, text: str = "") -> Message:
    return Message("assistant", text, tool_calls=tuple(ToolCall(identity, "add", {}) for identity in ids))


def gives(identity: str, text: str = "1", name: str = "add") -> Message:
    return Message("tool", text, name=name, call_id=identity)


def ids(messages: list[Message]) -> list[tuple[str, ...]]:
    return [tuple(call.id for call in m.tool_calls) if m.tool_calls else (m.call_id,) for m in messages]


def test_a_history_in_order_stays_as_it_is() -> None:
    history = [Message("user", "Hi"), asks("a", "b"), gives("a"), gives("b"), Message("assistant", "Done")]
    assert normalize(history) == history


def test_messages_that_say_nothing_are_left_out() -> None:
    assert normalize([Message("user", " "), Message("assistant", ""), Message("user", "Hi")]) == [Message("user", "Hi")]


def test_results_stand_behind_their_calls_in_the_same_order() -> None:
    late = [asks("a", "b"), Message("user", "Well?"), gives("b", "2"), gives("a", "1")]
    assert normalize(late) == [asks("a", "b"), gives("a", "1"), gives("b", "2"), Message("user", "Well?")]


def test_a_call_without_a_result_gets_one_that_says_so() -> None:
    _, result, _ = normalize([asks("a"), Message("user", "Well?")])
    assert (result.role, result.call_id, result.failed) == ("tool", "a", True)
    assert "no result" in result.text


def test_a_result_without_a_call_is_left_out() -> None:
    assert normalize([gives("x"), Message("user", "Hi"), asks("a"), gives("a"), gives("b")]) == [
        Message("user", "Hi"), asks("a"), gives("a"),
    ]  # fmt: skip


def test_ids_that_are_used_twice_missing_or_odd_become_others_and_still_belong_together() -> None:
    history = [
        asks("0"),
        gives("0", "one"),
        asks("0", ""),
        gives("0", "two"),
        gives("", "three"),
        asks("f.x:0"),
        gives("f.x:0"),
    ]
    made = normalize(history)
    assert ids(made) == [
        ("0",), ("0",), ("call00001", "call00002"), ("call00001",), ("call00002",), ("call00003",), ("call00003",),
    ]  # fmt: skip
    assert [m.text for m in made if m.role == "tool"] == ["one", "two", "three", "1"]


def test_where_nine_letters_and_digits_are_asked_for_all_ids_are_such() -> None:
    history = [asks("toolu_01"), gives("toolu_01"), asks("abcDEF123"), gives("abcDEF123")]
    assert ids(normalize(history, short_ids=True)) == [
        ("call00000",), ("call00000",), ("abcDEF123",), ("abcDEF123",),
    ]  # fmt: skip
