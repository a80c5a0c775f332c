"""Build the full-text index over passages, and index the titles and messages that exist already.

On SQLite the index is an FTS5 table, if FTS5 is available; on PostgreSQL a generated `tsvector` column with a GIN index.

SQLite alters a table by building a new one, which drops its triggers. A later migration that alters Passage must create
them again (`TRIGGERS`).
"""

import re
import unicodedata
from itertools import filterfalse

from django.db import OperationalError, migrations, transaction

TABLE = """
CREATE VIRTUAL TABLE nous_chat_search USING fts5(
    text, content='nous_chat_passage', content_rowid='id', tokenize='unicode61 remove_diacritics 0', prefix='2 3'
)
"""
ADD = "INSERT INTO nous_chat_search(rowid, text) VALUES (new.id, new.text);"
DROP = "INSERT INTO nous_chat_search(nous_chat_search, rowid, text) VALUES ('delete', old.id, old.text);"
TRIGGERS = [
    f"CREATE TRIGGER nous_chat_passage_added AFTER INSERT ON nous_chat_passage BEGIN {ADD} END",
    f"CREATE TRIGGER nous_chat_passage_dropped AFTER DELETE ON nous_chat_passage BEGIN {DROP} END",
    f"CREATE TRIGGER nous_chat_passage_changed AFTER UPDATE ON nous_chat_passage BEGIN {DROP} {ADD} END",
]
GIN = [
    "ALTER TABLE nous_chat_passage ADD words tsvector GENERATED ALWAYS AS (to_tsvector('simple', text)) STORED",
    "CREATE INDEX nous_chat_search ON nous_chat_passage USING gin (words)",
]


def make(apps, schema_editor):
    vendor = schema_editor.connection.vendor
    if vendor == "postgresql":
        for statement in GIN:
            schema_editor.execute(statement)
    elif vendor == "sqlite":
        try:
            with transaction.atomic(schema_editor.connection.alias):
                schema_editor.execute(TABLE)
        except OperationalError:  # no such module: fts5. Search then scans the passages.
            return
        for trigger in TRIGGERS:
            schema_editor.execute(trigger)


def unmake(apps, schema_editor):
    vendor = schema_editor.connection.vendor
    if vendor == "postgresql":
        schema_editor.execute("ALTER TABLE nous_chat_passage DROP words")  # drops the index as well
    elif vendor == "sqlite":
        for event in ("added", "dropped", "changed"):
            schema_editor.execute(f"DROP TRIGGER IF EXISTS nous_chat_passage_{event}")
        schema_editor.execute("DROP TABLE IF EXISTS nous_chat_search")


# A copy of chat/fulltext.py as it was when this migration was written: later changes of that module must not change
# what this migration stores.
MAX_WORD_CHARS = 64
MAX_INDEXED_CHARS = 200_000
CJK = r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff]"
WORD = re.compile(rf"{CJK}|(?:(?!{CJK})[^\W_])+")


def fold(text):
    if text.isascii():
        return text.lower()
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return "".join(filterfalse(unicodedata.combining, decomposed))


def indexed(text):
    words = dict.fromkeys(word[:MAX_WORD_CHARS] for word in WORD.findall(fold(text)))
    return " ".join(words)[:MAX_INDEXED_CHARS]


def fill(apps, schema_editor):
    alias = schema_editor.connection.alias
    passage = apps.get_model("nous_chat", "Passage")
    message = apps.get_model("nous_chat", "Message").objects.using(alias)
    titles = apps.get_model("nous_chat", "Conversation").objects.using(alias).exclude(title="")
    ended = ("completed", "stopped", "failed", "interrupted")
    texts = [message.filter(role="user"), message.filter(role="assistant", run__status__in=ended)]

    def passages():
        for pk, title in titles.values_list("pk", "title").iterator():
            yield passage(conversation_id=pk, text=indexed(title))
        for rows in texts:
            for pk, conversation, text in rows.order_by("created_at").values_list("pk", "conversation", "text").iterator():
                yield passage(conversation_id=conversation, message_id=pk, text=indexed(text))

    batch = []
    for row in passages():
        if row.text:
            batch.append(row)
        if len(batch) == 500:
            passage.objects.using(alias).bulk_create(batch)
            batch = []
    passage.objects.using(alias).bulk_create(batch)


class Migration(migrations.Migration):

    dependencies = [("nous_chat", "0005_rooms")]

    operations = [
        migrations.RunPython(make, unmake),
        migrations.RunPython(fill, migrations.RunPython.noop),
    ]
