"""Full-text search: what it finds, for whom, and its cost, on FTS5, on PostgreSQL, and without an index."""

import sqlite3
import sys
from contextlib import closing
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from hypothesis import given
from hypothesis import strategies as st

from chat import fulltext, store
from chat.models import Conversation, Message, Participant, Passage
from chat.store.search import has_fts5

from ..support.store_helpers import HOST, begin, end, index, post

pytestmark = pytest.mark.django_db


@pytest.fixture(params=["index", "like"], autouse=True)
def how(request: Any, monkeypatch: pytest.MonkeyPatch) -> str:
    """With the index of this database, and without one, as on other databases."""
    if request.param == "like":
        monkeypatch.setattr("chat.store.search.connection", lambda: SimpleNamespace(vendor="other"))
    return str(request.param)


def texts(user: Any, query: str) -> list[str]:
    return [result.excerpt for result in store.search_conversations(user.pk, query, None).results]


def say(user: Any, room: Conversation, text: str) -> Message:
    return Message.objects.get(pk=post(user, room, text).message.id)


def test_this_database_searches_with_an_index(how: str) -> None:
    """Otherwise, the tests below would not test the index."""
    if connection.vendor == "sqlite":
        with closing(sqlite3.connect(":memory:")) as own:
            options = {row[0] for row in own.execute("PRAGMA compile_options")}
        assert has_fts5("default") is ("ENABLE_FTS5" in options)
    else:
        with connection.cursor() as cursor:
            cursor.execute("SELECT indexdef FROM pg_indexes WHERE indexname = 'nous_chat_search'")
            assert "USING gin" in cursor.fetchone()[0]


@pytest.mark.skipif(connection.vendor != "postgresql", reason="of PostgreSQL's planner")
def test_a_rare_word_is_found_by_the_index_and_not_by_a_scan(people: Any, room: Conversation, how: str) -> None:
    """The planner must not scan passages from the newest until a page is full."""
    Message.objects.bulk_create(
        Message(conversation=room, seq=seq, role="user", author=people["ada"], text=f"word{seq} " * 20)
        for seq in range(1, 2001)
    )
    index(Message.objects.all())
    with connection.cursor() as cursor:
        # What earlier tests took back still waits there, and makes the index look costly.
        cursor.execute("SELECT gin_clean_pending_list('nous_chat_search')")
        cursor.execute("ANALYZE nous_chat_passage, nous_chat_message")
    with CaptureQueriesContext(connection) as queries:
        assert store.search_conversations(people["ada"].pk, "word777", None).results
    with connection.cursor() as cursor:
        cursor.execute("EXPLAIN " + queries[0]["sql"])
        plan = "\n".join(row[0] for row in cursor.fetchall())
    assert ("nous_chat_search" in plan) is (how == "index"), plan


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("The brake pads are worn", "brake"),
        ("The brake pads are worn", "PADS the"),
        ("The brake pads are worn", "wor"),
        ("Ein Café in Göttingen", "cafe gottingen"),
        ("Ein Cafe", "CAFÉ"),
        ("Straße", "STRASSE"),
        ("see snake_case and e-mail@example.org", "case example"),
        ("日本語のテキスト", "テキスト"),
        (
            "\u0e01\u0e33\u0e25\u0e31\u0e07\u0e42\u0e2b\u0e25\u0e14",
            "\u0e42\u0e2b\u0e25\u0e14",
        ),  # Thai: "load" in "is loading"
        ("\u0e9e\u0eb2\u0eaa\u0eb2\u0ea5\u0eb2\u0ea7", "\u0ea5\u0eb2\u0ea7"),  # Lao: "Lao" in "the Lao language"
        (
            "\u1797\u17b6\u179f\u17b6\u1781\u17d2\u1798\u17c2\u179a",
            "\u1781\u17d2\u1798\u17c2\u179a",
        ),  # the same in Khmer
        ("\u1019\u103c\u1014\u103a\u1019\u102c\u1005\u102c", "\u1005\u102c"),  # Burmese
        ("\u0939\u093f\u0928\u094d\u0926\u0940", "\u0939\u093f\u0928"),  # Hindi: a prefix that ends before a virama
        ("don't panic", "don't"),
        ("x" * 100, "x" * 100),
    ],
)
def test_words_are_found_by_their_prefix(people: Any, room: Conversation, text: str, query: str) -> None:
    say(people["ada"], room, text)
    found = store.search_conversations(people["bob"].pk, query, None).results
    assert [result.excerpt[:9] for result in found if result.message] == [text[:9]]
    assert len(found) == 2 or len(query) > 64, "and the title that was made of it"
    assert texts(people["bob"], query + " nowhere") == []


def test_a_title_that_was_removed_without_the_store_can_be_made_again(people: Any, room: Conversation) -> None:
    say(people["ada"], room, "Monads")
    Conversation.objects.filter(pk=room.pk).update(title="")
    say(people["ada"], room, "Burritos")
    room.refresh_from_db()
    assert room.title == "Burritos"
    results = store.search_conversations(people["ada"].pk, "burritos", None).results
    assert [found.message is None for found in results] == [False, True]


def test_another_order_of_the_same_letters_is_not_found(people: Any, room: Conversation) -> None:
    say(people["ada"], room, "\u0e01\u0e33\u0e25\u0e31\u0e07\u0e42\u0e2b\u0e25\u0e14")
    assert texts(people["ada"], "\u0e14\u0e25\u0e2b") == []


def test_a_match_is_whole_letters() -> None:
    part, matches = fulltext.make_excerpt("x cafe\u0301s " * 3, ["cafe"])
    assert [part[a:b] for a, b in matches] == ["cafe\u0301"] * 3
    family = "\N{MAN}\u200d\N{WOMAN}\u200d\N{GIRL}"
    for shift in range(8):
        part, matches = fulltext.make_excerpt("x" * shift + family * 100 + " needle " + family * 100, ["needle"])
        assert [part[a:b] for a, b in matches] == ["needle"]
        assert part.strip("…x").replace(family, "").strip() == "needle"


def test_finished_answers_are_found_and_running_ones_are_not(people: Any, room: Conversation) -> None:
    started = begin(people["ada"], room, "Hello")
    assert started.message.run is not None
    store.heartbeat(
        HOST,
        [started.message.run.id],
        [store.Checkpoint(started.message.run.id, started.message.id, store.Written(3, "Monads are burritos", ""))],
    )
    assert texts(people["ada"], "burritos") == []
    end(started, "stopped", text="Monads are burritos")
    (found,) = store.search_conversations(people["bob"].pk, "burritos", None).results
    assert found.conversation.id == room.pk
    assert found.message is not None
    assert (found.message.id, found.message.seq, found.message.role) == (started.message.id, 2, "assistant")
    assert found.excerpt == "Monads are burritos"
    assert found.matches == [(11, 19)]


def test_users_find_only_their_own_conversations(people: Any, room: Conversation, client: Client) -> None:
    message = say(people["ada"], room, "secret plan")
    assert texts(people["eve"], "secret") == []
    Participant.objects.create(conversation=room, user=people["eve"], role="viewer")
    assert len(texts(people["eve"], "secret")) == 2
    people["eve"].is_active = False
    people["eve"].save()
    assert texts(people["eve"], "secret") == []
    store.delete_message(people["ada"].pk, room.pk, message.pk)
    assert texts(people["ada"], "secret") == [], "neither the message nor the title that was made of it"
    store.restore_message(people["ada"].pk, room.pk, message.pk)
    assert len(texts(people["ada"], "secret")) == 2
    assert client.get("/chat/api/search/", {"q": "secret"}).status_code == 401


def test_hidden_messages_are_not_found_and_edited_ones_are(people: Any, room: Conversation) -> None:
    first = end(begin(people["ada"], room, "Hello"), text="apples")
    assert first is not None
    assert first.message is not None
    again = store.start_run(store.request_run(people["ada"].pk, room.pk, first.message.id, HOST), HOST)
    assert again is not None
    end(again, text="pears")
    assert (texts(people["ada"], "apples"), texts(people["ada"], "pears")) == ([], ["pears"])
    store.choose_alternative(people["ada"].pk, room.pk, first.message.id)
    assert (texts(people["ada"], "apples"), texts(people["ada"], "pears")) == (["apples"], [])
    question = Message.objects.get(role="user")
    store.edit_message(people["ada"].pk, room.pk, question.pk, "Goodbye", False, HOST)
    assert (texts(people["ada"], "hello"), texts(people["ada"], "goodbye")) == ([], ["Goodbye"] * 2)


def test_results_come_in_pages_newest_first(client: Client, people: Any, room: Conversation) -> None:
    Message.objects.bulk_create(
        Message(conversation=room, seq=seq, role="user", author=people["ada"], text=f"number {seq}")
        for seq in range(1, 46)
    )
    index(Message.objects.order_by("seq"))
    client.force_login(people["bob"])
    seen: list[int] = []
    before: dict[str, Any] = {}
    for size, more in ((20, True), (20, True), (5, False)):
        page = client.get("/chat/api/search/", {"q": "number"} | before).json()
        assert (len(page["results"]), page["more"]) == (size, more)
        seen += [result["message"]["seq"] for result in page["results"]]
        before = {"before": page["results"][-1]["id"]}
    assert seen == list(range(45, 0, -1))


def test_a_search_costs_the_same_number_of_queries_at_any_size(
    people: Any, room: Conversation, django_assert_num_queries: Any
) -> None:
    for _ in range(20):
        other = Conversation.objects.get(pk=store.create_conversation(people["ada"]).id)
        index(
            Message.objects.bulk_create(
                Message(conversation=other, seq=seq, role="user", author=people["ada"], text="needle") for seq in (1, 2)
            )
        )
    with django_assert_num_queries(3):
        assert len(store.search_conversations(people["ada"].pk, "needle", None).results) == 20


@pytest.mark.parametrize(
    "query",
    [
        *(
            "",
            " ",
            '"',
            "'",
            '" OR 1=1 --',
            "a AND",
            "NEAR(a b)",
            "text:a",
            "a*b",
            "-a",
            "^a",
            "a & | ! <->",
            ":*",
            "(",
        ),
        *("\\", "%", "_", "\x00", "a\x00b", "é" * 1000, "ﬃ", "a " * 10_000, "'; DROP TABLE nous_chat_message; --"),
        "\ud7ff\uffff",
    ],
)
def test_no_query_causes_an_error(client: Client, people: Any, room: Conversation, query: str) -> None:
    say(people["ada"], room, "quite harmless")
    client.force_login(people["ada"])
    answer = client.get("/chat/api/search/", {"q": query})
    assert answer.status_code == 200
    assert all(result["excerpt"] for result in answer.json()["results"])
    assert texts(people["ada"], "harmless")


@pytest.mark.parametrize("wrong", [{}, *({"q": "a", "before": before} for before in ("x", "0", "9" * 30))])
def test_an_invalid_search_request_is_refused(client: Client, people: Any, wrong: dict[str, str]) -> None:
    client.force_login(people["ada"])
    answer = client.get("/chat/api/search/", wrong)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid")


def test_passages_are_deleted_with_their_source(people: Any, room: Conversation) -> None:
    say(people["ada"], room, "gone tomorrow")
    room.delete()
    assert not Passage.objects.exists()
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute("SELECT count(*) FROM nous_chat_search WHERE nous_chat_search MATCH 'tomorrow'")
            assert cursor.fetchone()[0] == 0
            cursor.execute("INSERT INTO nous_chat_search(nous_chat_search) VALUES ('integrity-check')")


def test_excerpts_are_short_and_mark_the_matches() -> None:
    text = "word " * 100 + "the Café, the cafés\n😀 CAFE " + "word " * 100
    part, matches = fulltext.make_excerpt(text, ["cafe"])
    assert len(part) < 200
    assert part.startswith("…")
    assert part.endswith("…")
    assert "\n" not in part
    assert [part[a:b] for a, b in matches] == ["Café", "café", "CAFE"]


@given(st.text(max_size=400), st.text(max_size=20))
def test_an_excerpt_marks_only_matches(text: str, query: str) -> None:
    part, matches = fulltext.make_excerpt(text, fulltext.parse_query(query))
    for a, b in matches:
        found = fulltext.split_words(part[a:b])
        assert any(each.startswith(word) for each in found for word in fulltext.parse_query(query))


@pytest.mark.parametrize("place", [0, 99_000, 199_000])
def test_an_excerpt_of_a_huge_text_examines_only_a_part(place: int) -> None:
    """Counted in calls, because seconds depend on the machine."""
    text = "größer " * 28_400
    text = f"{text[:place]} Höhle {text[place:]}"
    calls = 0

    def count(_: Any, event: str, __: Any) -> None:
        nonlocal calls
        calls += event == "call"

    sys.setprofile(count)
    try:
        part, matches = fulltext.make_excerpt(text, fulltext.parse_query("hohle"))
    finally:
        sys.setprofile(None)
    assert [part[a:b] for a, b in matches] == ["Höhle"]
    assert calls < 5_000


def test_two_letters_match_whole_words_only(people: Any, room: Conversation) -> None:
    """Otherwise, a search while the user types would begin with half of all messages."""
    say(people["ada"], room, "to be")
    say(people["ada"], room, "together")
    assert texts(people["ada"], "to") == ["to be", "to be"], "the message, and the title that was made of it"
    assert texts(people["ada"], "tog") == ["together"]
    assert fulltext.make_excerpt("to be together", ["to"])[1] == [(0, 2)]


@given(st.text(max_size=200))
def test_every_word_of_a_text_finds_it(text: str) -> None:
    """In any script: each query word is a prefix of some indexed word."""
    held = fulltext.make_index_text(text).split(" ")
    assert all(any(word.startswith(wanted) for word in held) for wanted in fulltext.parse_query(text))
