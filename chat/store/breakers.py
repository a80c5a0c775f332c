"""Circuit breakers that people open and close (engine/breaker.py)."""

from typing import Any

from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from ..models import Breaker
from ..protocol.errors import ErrorCode, Refused
from .access import is_staff_with
from .staff_log import note
from .unit_of_work import unit_of_work

_NOTES: dict[str, str] = {
    Breaker.Setting.OPEN: gettext_noop("Opened the circuit breaker."),
    Breaker.Setting.CLOSED: gettext_noop("Closed the circuit breaker."),
    Breaker.Setting.AUTOMATIC: gettext_noop("Left the circuit breaker to each process."),
}


@unit_of_work()
def set_breaker(user_id: Any, model: str, setting: str) -> Breaker:
    """Have a model never asked, always asked, or asked as each process decides: `setting` is a Breaker.Setting. It is
    noted in the admin's log. Raises Refused, also without the permission `manage_breakers`.
    """
    user = get_user_model()._default_manager.filter(pk=user_id).first()
    if not is_staff_with(user, "nous_chat.manage_breakers"):
        raise Refused(ErrorCode.FORBIDDEN, _("You can't open or close circuit breakers."))
    given = Breaker(model=model, setting=setting)
    try:
        given.clean_fields()
        given.clean()
    except ValidationError as problem:
        raise Refused(ErrorCode.INVALID, problem.messages[0]) from None
    row, _created = Breaker.objects.update_or_create(model=model, defaults={"setting": setting})
    note(user_id, row, model, _NOTES[setting])
    return row
