"""The rows of conversations that are being imported, inside the transaction of `load`."""

import tempfile
import uuid
from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC
from functools import lru_cache
from typing import Any
from uuid import UUID

import msgspec
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import ValidationError
from django.core.files.base import File
from django.db import transaction
from django.db.models import DateTimeField, DecimalField, ForeignKey, Model
from msgspec import UNSET, Struct

from ... import database, fulltext
from ...documents.changesets import ChangeSet, InvalidChange, units
from ...models import (
    Attachment,
    Conversation,
    Document,
    DocumentProposal,
    DocumentUpdate,
    Message,
    Passage,
    Run,
    ToolCall,
    attachment_storage,
)
from ...protocol.objects import encode_parts
from ...times import to_row
from ..attachments import TEXT_TYPE
from ..bulk_insert import insert_rows
from ..images import detect_image_type
from ..prompts import decode_transcript
from ..run_lifecycle import UNFINISHED
from .lines import BadLine, check_value
from .tables import CONVERSATIONS, TABLES, Table, is_content_type, is_user
from .users import Users

BATCH_SIZE = 500
"""How many rows of a table a conversation holds in memory at a time."""

MEMORY = 1024 * 1024
"""Bytes of a file that are kept in memory, not on the disk, until it is complete."""


def make_row(table: Table, line: Struct, users: Users, known: dict[type[Model], set[UUID]]) -> Model:
    """A row of a line. `known` are the keys that it may refer to. Raises ValueError."""
    values: dict[str, Any] = {}
    for key, field, kind in _columns(table):
        value = getattr(line, key)
        if value is UNSET:
            continue
        match kind:
            case "user":
                value = users.find(value, getattr(line, "guest_since", None) or None)
            case "type":
                value = _find_type(value)
            case "key":
                if value not in known[field.related_model] and value != getattr(line, "id", None):
                    if not field.null:
                        raise ValueError(f"`{key}` is not in this conversation")
                    value = None  # it was deleted while the site was exported
            case "time":
                value = _row_time(value)
            case "decimal":
                _validate(field, value)
            case "parts":
                value = encode_parts(value)
            case _:
                check_value(value)
        values[field.attname] = value
    return table.model(**values)


@lru_cache
def _columns(table: Table) -> list[tuple[str, Any, str]]:
    """The keys of a line with their fields, and how their values become those of a row: looked up once, not per row."""
    return [(table.keys[name], field, _kind(name, field)) for name, field in table.fields.items()]


def _kind(name: str, field: Any) -> str:
    if is_user(field):
        return "user"
    if is_content_type(field):
        return "type"
    if name == "parts":
        return name
    kinds = {ForeignKey: "key", DateTimeField: "time", DecimalField: "decimal"}
    return next((kind for of, kind in kinds.items() if isinstance(field, of)), "")


def _find_type(label: str) -> Any:
    check_value(label)
    try:
        return ContentType.objects.get_by_natural_key(*label.split(".", 1)).pk
    except (ContentType.DoesNotExist, TypeError):
        raise ValueError(f"The site has no model {label!r}") from None


def _row_time(value: Any) -> Any:
    try:
        return to_row(value.astimezone(UTC))
    except OverflowError:
        raise ValueError("A time is out of range") from None


def _validate(field: Any, value: Any) -> None:
    try:
        field.run_validators(value)
    except ValidationError as error:
        raise ValueError(" ".join(error.messages)) from None


_ORDER: list[type[Model]] = [*dict.fromkeys(table.model for table in CONVERSATIONS.walk()), Passage]
"""Models, each after those that it refers to."""


def write_together(group: Sequence["Rows"]) -> None:
    """Write what these conversations hold in memory, with one statement for each table."""
    for model in _ORDER:
        insert_rows(model, [vars(row) for rows in group for row in rows.waiting.get(model, [])])


class Rows:
    """Gathers the rows of a conversation: `add` takes one line after the other. Writes those of a long one meanwhile,
    after a savepoint.
    """

    def __init__(self, users: Users) -> None:
        self._users = users
        self._known: dict[type[Model], set[UUID]] = defaultdict(set)
        self.waiting: dict[type[Model], list[Model]] = defaultdict(list)
        """What is not written yet."""
        self._savepoint: str | None = None
        self._first_user = users.number
        self._conversation = UUID(int=0)
        self._last_seq = self._seq = 0
        self._number = 0  # of the line that the file or the document began with
        self._file: _File | None = None
        self._document: _Log | None = None
        self._stored: list[str] = []

    def add(self, line: Struct, number: int) -> None:
        """Raises ValueError, and BadLine if the line that is wrong is an earlier one."""
        table = TABLES[str(line.__struct_config__.tag)]
        if table.model not in (DocumentUpdate, DocumentProposal):
            self._finish()
            self._number = number
        row: Any = make_row(table, line, self._users, self._known)
        if table.model is Conversation:
            self._conversation, self._last_seq = row.pk, row.last_seq
            self._index(row.title, None)
        else:
            row.conversation_id = self._conversation
        self._check(row)
        if isinstance(row, Attachment):
            self._file = _File(row)
        else:
            self._save(row)
        if isinstance(row.pk, UUID):
            self._known[table.model].add(row.pk)

    def add_data(self, attachment: UUID, data: bytes) -> None:
        """Raises ValueError."""
        if self._file is None or self._file.row.pk != attachment:
            raise ValueError("It does not follow its attachment")
        self._file.write(data)

    def complete(self) -> None:
        """Say that all lines were added. Raises BadLine."""
        self._finish()

    def undo(self) -> None:
        """Take back what was written, and the users that were created for it: the conversation is not imported."""
        if self._savepoint is not None:
            transaction.savepoint_rollback(self._savepoint, database.alias())
        self._users.delete_from(self._first_user)
        self.discard_files()

    def discard_files(self) -> None:
        """Delete the files that were stored."""
        if self._file is not None:
            self._file.close()
        for name in self._stored:
            attachment_storage().delete(name)

    def _check(self, row: Any) -> None:
        match row:
            case Message():
                if not self._seq < row.seq <= self._last_seq:
                    raise ValueError("`seq` must grow, up to `last_seq` of the conversation")
                self._seq = row.seq
                self._index(row.text, row.pk)
            case Run():
                if row.status in Run.ACTIVE:
                    raise ValueError("It is in progress")
                try:
                    decode_transcript(row)
                except (msgspec.MsgspecError, RecursionError):
                    raise ValueError("`transcript` holds no messages") from None
            case ToolCall():
                if row.status in UNFINISHED:
                    raise ValueError("It is in progress")
            case Document():
                self._document = _Log(row)
            case DocumentUpdate() | DocumentProposal():
                if self._document is None:
                    raise ValueError("It does not follow its document")
                self._document.add(row)

    def _index(self, text: str, message: UUID | None) -> None:
        if words := fulltext.make_index_text(text):
            self._save(Passage(conversation_id=self._conversation, message_id=message, text=words))

    def _save(self, row: Model) -> None:
        waiting = self.waiting[type(row)]
        waiting.append(row)
        if len(waiting) >= BATCH_SIZE:
            if self._savepoint is None:
                self._savepoint = transaction.savepoint(database.alias())
            write_together([self])
            self.waiting.clear()

    def _finish(self) -> None:
        """Complete the file or the document whose lines have ended. Raises BadLine."""
        file, self._file = self._file, None
        document, self._document = self._document, None
        try:
            if file is not None:
                self._stored += file.store()
                self._save(file.row)
            if document is not None:
                document.check_end()
        except ValueError as error:
            raise BadLine(self._number, str(error)) from None


class _File:
    """An attachment, and its contents."""

    def __init__(self, row: Attachment) -> None:
        self.row = row
        self._content = tempfile.SpooledTemporaryFile(MEMORY)  # noqa: SIM115  `store` closes it
        self._size = 0

    def write(self, data: bytes) -> None:
        self._size += len(data)
        if self._size > self.row.size:
            raise ValueError("It has more bytes than `size`")
        self._content.write(data)

    def close(self) -> None:
        self._content.close()

    def store(self) -> list[str]:
        """Store the file under a new name. Raises ValueError."""
        with self._content as content:
            content.seek(0)
            kind = detect_image_type(content.read(16)) or TEXT_TYPE
            if self._size not in (0, self.row.size) or (self._size and kind != self.row.type):
                raise ValueError("The contents of an attachment do not fit its `size` and `media_type`")
            self.row.file.name = f"nous_chat/{uuid.uuid4().hex}"
            if not self._size:  # it was lost
                return []
            content.seek(0)
            self.row.file.name = attachment_storage().save(self.row.file.name, File(content))
        return [self.row.file.name]


class _Log:
    """Checks that the updates of a document follow each other, and lead to its text."""

    def __init__(self, row: Document) -> None:
        self._row = row
        self._version = self._length = 0
        self._lengths = [0]  # of the text at each version
        if row.text_version > row.version or (row.text_version == 0 and row.text):
            raise ValueError("`text_version` and `version` do not fit each other")

    def add(self, row: DocumentUpdate | DocumentProposal) -> None:
        try:
            changes = ChangeSet.parse(row.changes)
        except InvalidChange as error:
            raise ValueError(str(error)) from None
        if isinstance(row, DocumentUpdate):
            self._add_update(row, changes)
        elif (
            row.document_id != self._row.pk
            or row.version > self._version
            or changes.length != self._lengths[row.version]
        ):
            raise ValueError("It does not fit its document")

    def _add_update(self, update: DocumentUpdate, changes: ChangeSet) -> None:
        self._version += 1
        if update.document_id != self._row.pk or update.version != self._version or changes.length != self._length:
            raise ValueError("It does not follow the update before")
        self._length = changes.new_length
        self._lengths.append(self._length)
        if self._version == self._row.text_version and self._length != units(self._row.text):
            raise ValueError("The text of the document is not what its updates make")

    def check_end(self) -> None:
        if self._version != self._row.version:
            raise ValueError("The updates of the document are not complete")
