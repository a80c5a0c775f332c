"""The search's index over passages: FTS5 where SQLite has it; on PostgreSQL a column of the words, with a GIN index. And
what was said so far.

SQLite drops a table's triggers when it alters the table by making a new one: a later migration of Passage has to make
them again (`TRIGGERS`).
"""

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
        except OperationalError:  # no such module: fts5; the search then reads every passage
            return
        for trigger in TRIGGERS:
            schema_editor.execute(trigger)


def unmake(apps, schema_editor):
    vendor = schema_editor.connection.vendor
    if vendor == "postgresql":
        schema_editor.execute("ALTER TABLE nous_chat_passage DROP words")  # and with it the index
    elif vendor == "sqlite":
        for event in ("added", "dropped", "changed"):
            schema_editor.execute(f"DROP TRIGGER IF EXISTS nous_chat_passage_{event}")
        schema_editor.execute("DROP TABLE IF EXISTS nous_chat_search")


def fill(apps, schema_editor):
    from ..fulltext import indexed

    alias = schema_editor.connection.alias
    passage = apps.get_model("nous_chat", "Passage")
    message = apps.get_model("nous_chat", "Message").objects.using(alias)
    titles = apps.get_model("nous_chat", "Conversation").objects.using(alias).exclude(title="")
    over = ("completed", "stopped", "failed", "interrupted")
    said = [message.filter(role="user"), message.filter(role="assistant", run__status__in=over)]

    def passages():
        for pk, title in titles.values_list("pk", "title").iterator():
            yield passage(conversation_id=pk, text=indexed(title))
        for rows in said:
            for pk, conversation, text in rows.order_by("created_at").values_list("pk", "conversation", "text").iterator():
                yield passage(conversation_id=conversation, message_id=pk, text=indexed(text))

    some = []
    for each in passages():
        if each.text:
            some.append(each)
        if len(some) == 500:
            passage.objects.using(alias).bulk_create(some)
            some = []
    passage.objects.using(alias).bulk_create(some)


class Migration(migrations.Migration):

    dependencies = [("nous_chat", "0005_rooms")]

    operations = [
        migrations.RunPython(make, unmake),
        migrations.RunPython(fill, migrations.RunPython.noop),
    ]
