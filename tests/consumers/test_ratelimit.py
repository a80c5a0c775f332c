"""A person may ask often, and not too often."""

from typing import Any

import pytest

from chat import ratelimit, store
from chat.models import Conversation, Message


@pytest.fixture(autouse=True)
def rates(settings: Any) -> None:
    settings.NOUS_CHAT = {"COMMAND_RATE": 2.0, "COMMAND_BURST": 5}


def test_a_burst_is_taken_and_then_as_many_as_the_rate_says() -> None:
    bucket = ratelimit.Bucket()
    assert [bucket.take(0.0) for _ in range(5)] == [0.0] * 5
    wait = bucket.take(0.0)
    assert wait == pytest.approx(1.0)
    assert bucket.take(wait) == 0.0, "it said the truth"
    assert bucket.take(wait) > 0


def test_who_does_not_stop_asking_is_exhausted_and_who_waits_recovers() -> None:
    bucket = ratelimit.Bucket()
    for _ in range(10):
        bucket.take(0.0)
    assert not bucket.exhausted
    bucket.take(0.0)
    assert bucket.exhausted
    assert bucket.take(100.0) == 0.0
    assert not bucket.exhausted


def test_the_sockets_of_a_person_share_one_and_the_last_takes_it_away() -> None:
    buckets = ratelimit.Buckets()
    one, other = buckets.of("ada"), buckets.of("bob")
    assert buckets.of("ada") is one
    assert other is not one
    one.take(0.0)
    del one
    assert buckets.of("ada").take(0.0) == 0.0


def test_over_http_it_is_the_same_for_each_and_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ratelimit.RequestBuckets, "MAX_USERS", 2)
    requests = ratelimit.RequestBuckets()
    assert [requests.take("ada", 0.0) for _ in range(5)] == [0.0] * 5
    for _ in range(100):
        wait = requests.take("ada", 0.0)
    assert 0 < wait <= 4, "however long somebody goes on"
    assert requests.take("bob", 0.0) == 0.0
    assert requests.take("eve", 0.0) == 0.0
    assert len(requests._by_user) == 2


def test_who_asks_too_often_over_http_is_told_when_to_come_back(client: Any, people: Any) -> None:
    client.force_login(people["ada"])
    answers = [client.get("/chat/api/conversations/") for _ in range(6)]
    assert [answer.status_code for answer in answers] == [200] * 5 + [429]
    assert answers[-1].json()["code"] == "rate_limited"
    assert int(answers[-1]["Retry-After"]) >= 1
    client.force_login(people["bob"])
    assert client.get("/chat/api/conversations/").status_code == 200


def test_the_forms_without_javascript_count_as_well(client: Any, people: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chat.ratelimit._requests", ratelimit.RequestBuckets())
    client.force_login(people["eve"])
    room = store.create_conversation(people["eve"])
    while client.get("/chat/api/conversations/").status_code == 200:
        pass
    assert client.post(f"/chat/{room.id}/say/", {"text": "Hello"}).status_code == 429
    assert client.post("/chat/begin/").status_code == 429
    assert (Message.objects.count(), Conversation.objects.count()) == (0, 1)
