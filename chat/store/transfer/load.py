"""Import the lines of an export. A conversation is imported whole, or not at all; short ones share a transaction. One
that is there already is left alone, so an import can be repeated, and continued after it was cut off.
"""

from collections import Counter
from collections.abc import Iterator
from typing import Any, BinaryIO
from uuid import UUID

import msgspec
from django.db import DataError, IntegrityError
from msgspec import Struct

from ... import database
from ...models import Conversation, Spending
from ..prepared import Param, Select
from ..unit_of_work import UNATTENDED_TIMEOUT, unit_of_work
from .export import FORMAT
from .lines import MAX_LINE, AttachmentData, BadLine, End, Header, decode_line
from .rows import Rows, make_row, write_together
from .tables import SPENDINGS
from .users import Users

GROUP_MESSAGES = 500
"""How many messages one transaction has, at most: those of several conversations, or of one that is longer."""

_START = b'{"type":"conversation",'

_CONVERSATION = Select(lambda: Conversation.objects.only("pk").filter(pk=Param("id", Conversation, "id")).order_by())


class Imported(Struct, frozen=True):
    """What became of a conversation, or of a line outside of them. `line` is the number of its first line, or of the
    one with the error. `status`: "imported", "skipped" (it was there already), or "failed".
    """

    status: str
    line: int
    conversation: UUID | None = None
    error: str = ""


class _Lines:
    """The lines of a file, decoded, with a look at the next one. A line that cannot be decoded is a BadLine."""

    def __init__(self, file: BinaryIO) -> None:
        self._lines = _decode(file)
        self.number = 0
        self.next: Any = None
        self.take()

    def take(self) -> Any:
        """The next line. None at the end of the file."""
        taken = self.next
        self.number, self.next = next(self._lines, (self.number, None))
        return taken

    @property
    def starts(self) -> bool:
        """Whether the next line begins a conversation, or ends the last one."""
        line = self.next
        return line is None or isinstance(line, End) or _is_conversation(line) or getattr(line, "starts", False)

    def skip(self) -> None:
        """Leave out the rest of a conversation."""
        while not self.starts:
            self.take()


def _is_conversation(line: Any) -> bool:
    return isinstance(line, Struct) and line.__struct_config__.tag == "conversation"


def _decode(file: BinaryIO) -> Iterator[tuple[int, Any]]:
    number = 0
    while line := file.readline(MAX_LINE + 1):
        number += 1
        begin = line[: len(_START)]
        if len(line) > MAX_LINE:
            while line and not line.endswith(b"\n"):
                line = file.readline(MAX_LINE)
            yield number, BadLine(number, f"It is longer than {MAX_LINE} bytes", begin == _START)
            continue
        try:
            yield number, decode_line(line)
        except (msgspec.MsgspecError, ValueError) as error:
            yield number, BadLine(number, str(error), begin == _START)


def import_lines(file: BinaryIO) -> Iterator[Imported]:
    """Import a file, and tell what became of each conversation. Raises BadLine if it is no export at all."""
    lines, users = _Lines(file), Users()
    first = lines.take()
    if not isinstance(first, Header):
        raise BadLine(1, "This is not an export in JSON Lines")
    if first.format != FORMAT:
        raise BadLine(1, f"This export has the format {first.format}, and only {FORMAT} can be imported")
    yield from _import_spendings(lines, users)
    number = 0
    while lines.next is not None and not isinstance(lines.next, End):
        outcomes = _import_group(lines, users)
        number += len(outcomes)
        yield from outcomes
    if lines.next is None:
        yield Imported("failed", lines.number, error="The file is cut off: its last line is missing")
    elif lines.next.conversations != number:
        yield Imported("failed", lines.number, error=f"The export had {lines.next.conversations} conversations")
    elif lines.take() and lines.next is not None:
        yield Imported("failed", lines.number, error="Nothing may follow the last line")


def _import_group(lines: _Lines, users: Users) -> list[Imported]:
    """Import some conversations in one transaction, and tell what became of each."""
    outcomes: list[Imported] = []
    group: dict[int, Rows] = {}  # by the places of their outcomes
    try:
        with unit_of_work(UNATTENDED_TIMEOUT):
            messages = 0
            while lines.next is not None and not isinstance(lines.next, End):
                messages += getattr(lines.next, "last_seq", 0) or 0
                if outcomes and messages > GROUP_MESSAGES:
                    break
                outcome, rows = _read_conversation(lines, users)
                if rows is not None:
                    group[len(outcomes)] = rows
                outcomes.append(outcome)
            try:
                with database.atomic():
                    write_together(list(group.values()))
            except (IntegrityError, DataError):
                for place, rows in group.items():
                    outcomes[place] = _write_alone(rows, outcomes[place])
    except BaseException as error:
        for rows in group.values():
            rows.discard_files()
        users.forget()
        if not isinstance(error, IntegrityError):
            raise
        return [_refused(outcome, error) if outcome.status == "imported" else outcome for outcome in outcomes]
    return outcomes


def _read_conversation(lines: _Lines, users: Users) -> tuple[Imported, Rows | None]:
    """What becomes of the next conversation, and its rows if it is imported. Inside the transaction of its group."""
    number, line = lines.number, lines.take()
    if isinstance(line, BadLine):
        lines.skip()
        return Imported("failed", line.number, error=str(line)), None
    if _CONVERSATION.first(id=line.id) is not None:
        lines.skip()
        return Imported("skipped", number, line.id), None
    outcome = Imported("imported", number, line.id)
    rows = Rows(users)
    try:
        _import_block(line, number, lines, rows)
    except BadLine as error:
        outcome = Imported("failed", error.number, line.id, str(error))
    except (IntegrityError, DataError) as error:
        outcome = _refused(outcome, error)
    except BaseException:
        rows.discard_files()
        raise
    else:
        return outcome, rows
    rows.undo()
    lines.skip()
    return outcome, None


def _write_alone(rows: Rows, outcome: Imported) -> Imported:
    """Write a conversation after its group was refused."""
    try:
        with database.atomic():
            write_together([rows])
    except (IntegrityError, DataError) as error:
        rows.undo()
        return _refused(outcome, error)
    return outcome


def _refused(outcome: Imported, error: Exception) -> Imported:
    """What only the database can tell: a key that it has already."""
    reason = str(error).split("\n")[0]
    problem = f"The database refuses a row of this conversation: {reason}"
    return Imported("failed", outcome.line, outcome.conversation, problem)


def _import_block(line: Any, number: int, lines: _Lines, rows: Rows) -> None:
    """The rows of a conversation, inside the transaction of its group. Raises BadLine."""
    try:
        rows.add(line, number)
        while not lines.starts:
            number, line = lines.number, lines.take()
            if isinstance(line, BadLine):
                raise line
            if isinstance(line, Header):
                raise ValueError("This line belongs to the beginning of the file")
            if isinstance(line, AttachmentData):
                rows.add_data(line.attachment, line.data)
            else:
                rows.add(line, number)
        if lines.next is None:
            raise ValueError("The file is cut off in this conversation")
        rows.complete()
    except ValueError as error:
        raise BadLine(number, str(error)) from None


def _import_spendings(lines: _Lines, users: Users) -> Iterator[Imported]:
    """What was spent in deleted conversations. Rows that are there already, as often, are left out."""
    seen: Counter[tuple[Any, ...]] = Counter()
    while not lines.starts:
        number, line = lines.number, lines.take()
        try:
            if isinstance(line, BadLine):
                raise ValueError(str(line))
            if not isinstance(line, Struct) or line.__struct_config__.tag != SPENDINGS.type:
                raise ValueError("It does not belong to a conversation")
            with unit_of_work(UNATTENDED_TIMEOUT):
                row = make_row(SPENDINGS, line, users, {})
                assert isinstance(row, Spending)
                same: dict[str, Any] = {"day": row.day, "user": row.user_id, "agent": row.agent, "model": row.model}
                same |= {"tokens": row.tokens, "cost": row.cost, "runs": row.runs}
                key = tuple(same.values())
                seen[key] += 1
                if Spending.objects.filter(conversation=None, **same).count() < seen[key]:
                    row.save(force_insert=True)
        except ValueError as error:
            users.forget()
            yield Imported("failed", number, error=str(error))
