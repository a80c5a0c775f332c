"""Mentions of agents in a text."""

import pytest

from chat.store.mentions import find_mentions

AGENTS = [("support", "Support"), ("research", "Deep Research"), ("support-two", "S2")]


@pytest.mark.parametrize(
    ("text", "slugs"),
    [
        ("@assistant hi", ["support"]),
        ("@SUPPORT, please", ["support"]),
        ("well, (@support)", ["support"]),
        ("ask @support.", ["support"]),
        ("@support's turn", ["support"]),
        ("@deep  research\nand @Support: go", ["research", "support"]),
        ("@research @support @research", ["research", "support"]),
        ("@support-two only", ["support-two"]),
        ("an unclosed ` and @support", ["support"]),
        ("``one` @support `` @research", ["research"]),
        ("`one`` @support ``two` @research", ["research"]),
        ("` @support `` @research", ["support", "research"]),
        ("```@support``` but @research", ["research"]),
        ("```py\n@support\n```\n@research", ["research"]),
        ("~~~\n@support\n~~~~\n@research", ["research"]),
        ("`` ` @support `` @research", ["research"]),
        ("me@support.example", []),
        ("mail x.y+z@assistant now", []),
        ("@support.example", []),
        ("@support@example.org", []),
        ("@supporter, @supports", []),
        ("`@support`", []),
        ("```\n@support", []),
        ("@nobody", []),
        ("support", []),
        ("@", []),
        ("", []),
    ],
)
def test_mentions_are_found_outside_code_and_longer_words(text: str, slugs: list[str]) -> None:
    assert find_mentions(text, AGENTS) == slugs


def test_slugs_win_over_names_and_both_over_assistant() -> None:
    assert find_mentions("@assistant", [("first", "One"), ("second", "Assistant")]) == ["second"]
    assert find_mentions("@assistant", [("first", "Assistant"), ("assistant", "Two")]) == ["assistant"]
    assert find_mentions("@same", [("a", "Same"), ("b", "Same")]) == ["a"]
    assert find_mentions("@assistant", []) == []


def test_agent_names_can_contain_any_characters() -> None:
    assert find_mentions("@C++ (beta)!", [("c", "C++ (beta)")]) == ["c"]
    assert find_mentions("@Zoë?", [("z", "ZOË")]) == ["z"]
    assert find_mentions("@.*", [("a", "")]) == []
