"""Mentions of agents in a text."""

import time

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


@pytest.mark.parametrize(
    "text",
    [
        "@" + "`" * 32_000,
        "@" + "".join("`" * n + " " for n in range(1, 250)),
        "@\n" + "```\n" * 8_000,
        "@" * 32_000,
        "@deep" + " " * 31_000,
        "@deep " * 5_000,
        "@\n" + "~~~ x\n" * 5_000,
    ],
    ids=range(7),
)
def test_no_text_makes_the_search_for_mentions_slow(text: str) -> None:
    began = time.process_time()
    find_mentions(text, AGENTS)
    assert time.process_time() - began < 2, "each of these takes some hundredths of a second; quadratic ones would not"
