"""Action on circuit breakers: open or close one."""

from typing import Any

from .. import agents, store
from ..models import Breaker


def set_breaker(user_id: Any, model: str, setting: str) -> Breaker:
    """Open or close the breaker of a model, or leave it to the processes: this one follows at once, the others within
    three seconds. Synchronous. Raises Refused.
    """
    row = store.set_breaker(user_id, model, setting)
    agents.refresh_breakers()
    return row
