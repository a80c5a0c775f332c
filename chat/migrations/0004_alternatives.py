"""Turn regenerated answers into alternatives of the first answer, and mark all existing messages as read."""

from django.db import migrations
from django.db.models import OuterRef, Subquery


def group_alternatives(apps, schema_editor):
    message = apps.get_model("nous_chat", "Message").objects.using(schema_editor.connection.alias)
    first_of = {}
    for pk, replaces in message.exclude(replaces=None).order_by("conversation", "seq").values_list("pk", "replaces"):
        first_of[pk] = first = first_of.get(replaces, replaces)
        message.filter(pk__in=[pk, replaces]).update(alternative_of=first)
        message.filter(pk=replaces).update(shown=False)
    message.update(replaces=None)


def mark_read(apps, schema_editor):
    alias = schema_editor.connection.alias
    conversation = apps.get_model("nous_chat", "Conversation").objects.using(alias)
    conversation.exclude(title="").update(title_from="words")
    last = conversation.filter(pk=OuterRef("conversation")).values("last_seq")
    apps.get_model("nous_chat", "Participant").objects.using(alias).update(last_read=Subquery(last))


class Migration(migrations.Migration):

    dependencies = [("nous_chat", "0003_content")]

    operations = [
        migrations.RunPython(group_alternatives, migrations.RunPython.noop),
        migrations.RunPython(mark_read, migrations.RunPython.noop),
    ]
