"""Index again what is written in scripts whose vowels are marks, or that have no spaces: Thai, Lao, Khmer, Burmese, and
those of India. Before, their words ended at each mark, and nothing inside a word was found.
"""

import unicodedata
from itertools import filterfalse

import regex
from django.db import migrations

# A copy of chat/fulltext.py as it was when this migration was written: later changes of that module must not change
# what this migration stores.
MAX_WORD_CHARS = 64
MAX_INDEXED_CHARS = 200_000
CHARACTER = r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff]"
UNSPACED = r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff]"
WORD = regex.compile(
    rf"{CHARACTER}|(?:(?=[\p{{L}}\p{{N}}\p{{M}}]){UNSPACED})+|(?:(?!{CHARACTER}|{UNSPACED})[\p{{L}}\p{{N}}\p{{M}}])+"
)
RUN = regex.compile(rf"{UNSPACED}+")
CHANGED = regex.compile(r"[\u0900-\u109f\u1780-\u17ff]")
PAGE = 500


def fold(text):
    if text.isascii():
        return text.lower()
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return "".join(filterfalse(unicodedata.combining, decomposed))


def words_of(run):
    if RUN.match(run):
        for start in range(max(1, len(run) - 1)):
            yield "".join(f"u{ord(letter):04x}" for letter in run[start : start + 2])
    else:
        yield run[:MAX_WORD_CHARS]


def indexed(text):
    words = dict.fromkeys(word for run in WORD.findall(fold(text)) for word in words_of(run))
    return " ".join(words)[:MAX_INDEXED_CHARS]


def index_again(apps, schema_editor):
    passages = apps.get_model("nous_chat", "Passage").objects.using(schema_editor.connection.alias)
    last = 0
    while page := list(passages.filter(pk__gt=last).order_by("pk").values_list("pk", "text")[:PAGE]):
        last = page[-1][0]
        changed = [pk for pk, text in page if CHANGED.search(text)]
        for row in passages.filter(pk__in=changed).select_related("message", "conversation"):
            text = row.message.text if row.message_id else row.conversation.title
            passages.filter(pk=row.pk).update(text=indexed(text))


class Migration(migrations.Migration):

    dependencies = [("nous_chat", "0009_parts")]

    operations = [migrations.RunPython(index_again, migrations.RunPython.noop)]
