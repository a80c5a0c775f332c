"""Index foreign keys that few rows have where they are set (`models.indexes`), and drop Django's indexes of them."""

import django.db.models.deletion
from django.db import migrations, models

SPARSE = [
    ("document", "writing_run"),
    ("documentupdate", "run"),
    ("message", "alternative_of"),
    ("message", "reply_to"),
    ("run", "replaces"),
]
ADDED = [
    ("document", "writing_run", "nous_chat_document_writing"),
    ("documentupdate", "run", "nous_chat_document_update_run"),
    ("message", "reply_to", "nous_chat_message_replies"),
    ("message", "replaces", "nous_chat_message_replaces"),
    ("message", "alternative_of", "nous_chat_message_alternatives"),
    ("run", "replaces", "nous_chat_run_replaces"),
]


def _has_partial_indexes(schema_editor):
    """Others keep the indexes of their keys."""
    return schema_editor.connection.features.supports_partial_indexes


def drop_full_indexes(apps, schema_editor):
    """Of the keys alone: Django would copy whole tables for it on SQLite."""
    if not _has_partial_indexes(schema_editor):
        return
    added = {name for _model, _field, name in ADDED}
    for model_name, field_name in SPARSE:
        model = apps.get_model("nous_chat", model_name)
        column = model._meta.get_field(field_name).column
        for name in schema_editor._constraint_names(model, [column], index=True, unique=False, primary_key=False):
            if name not in added:
                schema_editor.execute(f"DROP INDEX {schema_editor.quote_name(name)}")


def restore_full_indexes(apps, schema_editor):
    if not _has_partial_indexes(schema_editor):
        return
    for model_name, field_name in SPARSE:
        model = apps.get_model("nous_chat", model_name)
        schema_editor.execute(schema_editor._create_index_sql(model, fields=[model._meta.get_field(field_name)]))


class Migration(migrations.Migration):
    dependencies = [
        ("nous_chat", "0033_figures"),
    ]

    operations = [
        *(
            migrations.AddIndex(
                model_name=model,
                index=models.Index(condition=models.Q((f"{field}__isnull", False)), fields=[field], name=name),
            )
            for model, field, name in ADDED
        ),
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunPython(drop_full_indexes, restore_full_indexes, elidable=False)],
            state_operations=[
                migrations.AlterField(
                    model_name="document",
                    name="writing_run",
                    field=models.ForeignKey(
                        blank=True,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to="nous_chat.run",
                        verbose_name="written by the run",
                    ),
                ),
                migrations.AlterField(
                    model_name="documentupdate",
                    name="run",
                    field=models.ForeignKey(
                        blank=True,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to="nous_chat.run",
                        verbose_name="run",
                    ),
                ),
                migrations.AlterField(
                    model_name="message",
                    name="alternative_of",
                    field=models.ForeignKey(
                        blank=True,
                        db_index=False,
                        editable=False,
                        help_text="The first of the alternative answers to the same question.",
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="alternatives",
                        to="nous_chat.message",
                        verbose_name="alternative of",
                    ),
                ),
                migrations.AlterField(
                    model_name="message",
                    name="reply_to",
                    field=models.ForeignKey(
                        blank=True,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to="nous_chat.message",
                        verbose_name="reply to",
                    ),
                ),
                migrations.AlterField(
                    model_name="run",
                    name="replaces",
                    field=models.ForeignKey(
                        blank=True,
                        db_index=False,
                        help_text="The answer that this run regenerates or continues.",
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to="nous_chat.message",
                        verbose_name="replaced answer",
                    ),
                ),
            ],
        ),
    ]
