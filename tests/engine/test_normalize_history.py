"""Normalisation of histories as they occur in a chat, so that every vendor accepts them."""

import re

import pytest

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
    assert normalize(history, "x") == history


def test_empty_messages_are_dropped() -> None:
    history = [Message("user", " "), Message("assistant", ""), Message("user", "Hi")]
    assert normalize(history, "x") == [Message("user", "Hi")]


def test_results_are_moved_behind_their_calls_in_the_same_order() -> None:
    late = [turn_with_calls("a", "b"), Message("user", "Well?"), result("b", "2"), result("a", "1")]
    assert normalize(late, "x") == [
        turn_with_calls("a", "b"),
        result("a", "1"),
        result("b", "2"),
        Message("user", "Well?"),
    ]


def test_a_call_without_a_result_gets_a_failed_one() -> None:
    _, result, _ = normalize([turn_with_calls("a"), Message("user", "Well?")], "x")
    assert (result.role, result.call_id, result.failed) == ("tool", "a", True)
    assert "no result" in result.text


def test_a_result_without_a_call_is_dropped() -> None:
    history = [result("x"), Message("user", "Hi"), turn_with_calls("a"), result("a"), result("b")]
    assert normalize(history, "x") == [Message("user", "Hi"), turn_with_calls("a"), result("a")]


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
    normalized = normalize(history, "x")
    assert [m.text for m in normalized if m.role == "tool"] == ["one", "two", "three", "1"]
    calls = [identity for turn in ids(normalized) for identity in turn]
    assert calls[:2] == ["0", "0"]
    second, third, odd = calls[2], calls[3], calls[6]
    assert calls[2:] == [second, third, second, third, odd, odd]
    assert len({"0", second, third, odd}) == 4
    assert all(re.fullmatch("[0-9a-f]{9}", identity) for identity in calls[2:])
    assert ids(normalize(history[5:], "x")) == [(odd,), (odd,)], "the same without what came before"


def test_the_provider_that_sent_an_id_gets_it_back() -> None:
    sent = [("functions.add:0", "k1"), ("a\x00" + "b" * 300, "k2"), ("functions.add:0", "k3")]
    calls = tuple(ToolCall(key, "add", {}, "", identity, "custom:kimi") for identity, key in sent)
    history = [Message("assistant", "", tool_calls=calls), result("k3"), result("k2"), result("k1")]
    assert ids(normalize(history, "custom:kimi"))[0] == ("functions.add:0", "a\x00" + "b" * 300, "k3"), "once in a turn"
    assert [message.call_id for message in normalize(history, "custom:kimi")[1:]] == list(
        ids(normalize(history, "custom:kimi"))[0]
    )
    assert ids(normalize(history, "custom:other"))[0] == ("k1", "k2", "k3"), "and no other"
    later = [*history, *history]
    assert ids(normalize(later, "custom:kimi"))[4][:2] == ids(normalize(later, "custom:kimi"))[0][:2], "in each turn"


@pytest.mark.parametrize(("name", "valid"), [
    ("add", "add"),
    ("", "_unnamed"),
    (" ", "_unnamed"),
    ("functions.add<|channel|>commentary", "_functions_add__channel__commentary"),
    ("2nd", "_2nd"),
    ("größe", "_gr__e"),
    ("x" * 65, "_" + "x" * 63),
])  # fmt: skip
def test_a_name_that_no_tool_can_have_is_made_one_that_vendors_accept(name: str, valid: str) -> None:
    turn = Message("assistant", "", tool_calls=(ToolCall("a", name, {}),))
    call, answer = normalize([turn, result("a", name=name)], "x")
    assert (call.tool_calls[0].name, answer.name) == (valid, valid)


def test_short_ids_have_nine_letters_and_digits() -> None:
    history = [turn_with_calls("toolu_01"), result("toolu_01"), turn_with_calls("abcDEF123"), result("abcDEF123")]
    (first,), (again,), (own,), _ = ids(normalize(history, "x", short_ids=True))
    assert (len(first), first.isalnum(), again, own) == (9, True, first, "abcDEF123")
