"""The page without JavaScript, as HTML."""

import re
import uuid
from typing import Any

from django.test import Client

from chat import store
from chat.models import Conversation
from chat.protocol import objects

from ..support.store_helpers import HOST, begin, end


def test_text_and_calls_of_an_answer_are_in_order(client: Client, people: Any, room: Conversation) -> None:
    started = begin(people["ada"], room, "Where is it?")
    assert started.message.run is not None
    call = objects.Call(id=uuid.uuid4(), name="look_up", arguments={}, status="done", result="found")
    store.save_calls(started.message.run.id, HOST, {"c1": call})
    parts = (objects.TextPart(7), objects.CallPart(call.id), objects.TextPart(14))
    end(started, written=store.Written(3, "I look.\n\nShipped. <b>", "", parts))
    client.force_login(people["ada"])
    page = client.get(f"/chat/{room.pk}/").content.decode()
    shown = re.findall(r'<p class="(?:text|call)">(.*?)</p>', page, re.DOTALL)
    assert shown == ["Where is it?", "I look.", "Used look_up", "Shipped. &lt;b&gt;"]


def test_a_text_that_takes_long_to_lay_out_is_shown_in_pieces(client: Client, people: Any, room: Conversation) -> None:
    """The page with JavaScript lays it out as well, until its script has loaded."""
    started = begin(people["ada"], room, "a" + "\u0301" * 1000)
    end(started, written=store.Written(1, "<b> " * 5000, "", (objects.TextPart(20_000),)))
    client.force_login(people["ada"])
    page = client.get(f"/chat/{room.pk}/").content.decode()
    question, answer = re.findall(r'<p class="text">(.*?)</p>', page, re.DOTALL)
    assert question == "a" + "\u0301" * 30
    pieces = re.findall(r'<span class="piece">(.*?)</span>', answer)
    assert len(pieces) > 4
    assert "".join(pieces) == "&lt;b&gt; " * 5000
