"""API tokens: create, list, and revoke them, and find whose token a request carries."""

import hashlib
import secrets
from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext as _
from msgspec import Struct

from ..logs import TOKEN_PREFIX
from ..models import ApiToken
from ..protocol.errors import ErrorCode, Refused
from .text import sanitize_text
from .unit_of_work import skip_if_locked, unit_of_work

MAX_TOKENS = 50
"""How many tokens one user can have, expired ones included."""

USED_EVERY = timedelta(minutes=1)
"""How often the last use of a token is stored."""

SCOPES = frozenset(("read", "write"))
"""`read` is needed for requests that read, for streams, and for sockets; `write` for requests and commands that change
something.
"""


class Bearer(Struct, frozen=True):
    """Whom a token stands for: the row of the user, and what requests with the token may do."""

    user: Any
    scopes: Collection[str] = SCOPES


class TokenInfo(Struct, frozen=True):
    """A token as its user sees it: never the token itself."""

    id: int
    name: str
    hint: str
    scopes: str
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None

    @property
    def expired(self) -> bool:
        return self.expires_at is not None and self.expires_at <= timezone.now()

    @property
    def scopes_label(self) -> str:
        """The scopes in the active language."""
        return str(ApiToken.Scopes(self.scopes).label)


@unit_of_work()
def create_token(user_id: Any, name: str, scopes: str = ApiToken.Scopes.READ_WRITE, days: int | None = None) -> str:
    """Create a token that expires after so many days, None for never. Returns it: nothing can show it again. Raises
    Refused.
    """
    name = sanitize_text(name).strip()
    if not name or len(name) > 100:
        raise Refused(ErrorCode.INVALID, _("Give the token a name of up to 100 characters."))
    if ApiToken.objects.filter(user=user_id).count() >= MAX_TOKENS:
        raise Refused(
            ErrorCode.CONFLICT, _("There are already %(count)s tokens. Revoke some first.") % {"count": MAX_TOKENS}
        )
    expires_at = None if days is None else timezone.now() + timedelta(days=days)
    row = ApiToken(user_id=user_id, name=name, scopes=ApiToken.Scopes(scopes), expires_at=expires_at)
    secret = give_secret(row)
    row.save()
    return secret


def give_secret(row: ApiToken) -> str:
    """Make the secret of a new row, which its caller saves. Returns the token."""
    secret = TOKEN_PREFIX + secrets.token_urlsafe(32)
    row.secret_hash = _hash(secret)
    row.hint = f"{TOKEN_PREFIX}…{secret[-4:]}"
    return secret


def list_tokens(user_id: Any) -> list[TokenInfo]:
    """A user's tokens, newest first."""
    rows = ApiToken.objects.filter(user=user_id).values_list(*TokenInfo.__struct_fields__)
    return [TokenInfo(*row) for row in rows]


@unit_of_work()
def revoke_token(user_id: Any, token_id: int) -> None:
    """Revoke a token of this user. Its streams and sockets are closed (`realtime/revocation.py`). Raises
    Refused(NOT_FOUND).
    """
    if not ApiToken.objects.filter(user=user_id, pk=token_id).delete()[0]:
        raise Refused(ErrorCode.NOT_FOUND, _("This token does not exist any more."))


def use_token(secret: str) -> Bearer:
    """Whose token this is. Notes the use. Raises Refused(UNAUTHORIZED)."""
    row = ApiToken.objects.select_related("user").filter(secret_hash=_hash(secret)).first()
    if row is None:
        raise Refused(ErrorCode.UNAUTHORIZED, _("This token is not valid, or it was revoked."))
    now = timezone.now()
    if row.expires_at is not None and row.expires_at <= now:
        raise Refused(ErrorCode.UNAUTHORIZED, _("This token has expired. Create a new one."))
    if not row.user.is_active:
        raise Refused(ErrorCode.UNAUTHORIZED, _("The account of this token is not active."))
    if row.last_used_at is None or now - row.last_used_at >= USED_EVERY:
        # Another process may be noting the same: then there is nothing to wait for.
        with skip_if_locked("API token", row.pk), unit_of_work():
            stale = Q(last_used_at=None) | Q(last_used_at__lte=now - USED_EVERY)
            ApiToken.objects.filter(stale, pk=row.pk).update(last_used_at=now)
    return Bearer(row.user, row.scopes.split())


def _hash(secret: str) -> str:
    # The secret is random and long, so a plain hash is enough: there is nothing to guess.
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()
