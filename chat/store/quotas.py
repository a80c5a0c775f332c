"""How much storage a user's files take, and whether there is room for more (STORAGE_BYTES_PER_USER)."""

from typing import Any

from django.db.models import Max, QuerySet, Sum, Value
from django.db.models.functions import Greatest
from django.utils.translation import gettext as _

from ..conf import conf
from ..i18n import format_size
from ..models import Attachment
from ..protocol.errors import ErrorCode, Refused
from .base import lock_user

LEAST_CHARGE = 16 * 1024
"""What a smaller file counts as, in bytes. This also limits how many files a user has, so that counting them on each
upload stays cheap: it reads one index, of at most 65,536 entries with the default quota.
"""


def check_new_file(user_id: Any, size: int) -> None:
    """Raises Refused(CONFLICT) if the user has no room for a file of `size` bytes. Locks the user, so that what was
    checked stays true until the caller's transaction ends.
    """
    _check(user_id, max(size, LEAST_CHARGE))


def check_copied_files(user_id: Any, copied: QuerySet[Attachment]) -> None:
    """The same for copies of these rows, which share the files. Files that the user has already cost nothing more."""
    mine = Attachment.objects.filter(uploaded_by=user_id).order_by()
    _check(user_id, _count_bytes(copied.exclude(file__in=mine.values("file"))))


def _check(user_id: Any, added: int) -> None:
    if not added:
        return
    lock_user(user_id)
    quota = conf.STORAGE_BYTES_PER_USER
    if quota is None:
        return
    used = _count_bytes(Attachment.objects.filter(uploaded_by=user_id))
    if used + added > quota:
        raise Refused(
            ErrorCode.CONFLICT,
            _("Your files take %(used)s of %(quota)s, and this needs %(added)s more. Delete messages with files first.")
            % {"used": format_size(used), "quota": format_size(quota), "added": format_size(added)},
        )


def _count_bytes(rows: QuerySet[Attachment]) -> int:
    """The size of the files of these rows. Rows of forks share files, so each file counts once."""
    sizes = rows.order_by().values("file").annotate(bytes=Greatest(Max("size"), Value(LEAST_CHARGE)))
    total: int | None = sizes.aggregate(total=Sum("bytes"))["total"]
    return total or 0
