"""The circuit breakers of this process, which all its agents share."""

from typing import cast

from .. import engine
from ..conf import conf
from ..models import Breaker

_breakers = engine.Breakers()


def breakers() -> engine.Breakers:
    """They live as long as the process: a restart closes them."""
    _breakers.failures, _breakers.seconds = conf.BREAKER_FAILURES, conf.BREAKER_SECONDS
    return _breakers


def refresh_breakers() -> None:
    """Read what people have set. One query; the heartbeat calls it."""
    rows = Breaker.objects.exclude(setting=Breaker.Setting.AUTOMATIC)
    _breakers.settings = {row.model: cast(engine.BreakerSetting, row.setting) for row in rows}
