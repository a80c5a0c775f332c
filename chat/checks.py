"""`manage.py check`: settings that cannot work are said before the first visitor meets them."""

from typing import Any

from django.core.checks import CheckMessage, Error, register
from django.core.exceptions import ImproperlyConfigured

from . import conf, engine
from .agents import build, model_of
from .engine.providers import provider_for


@register("nous_chat")
def check_settings(**_: Any) -> list[CheckMessage]:
    try:
        settings = conf.read()
    except ImproperlyConfigured as error:
        return [Error(str(error), hint="docs/embedding.md lists the settings.", id="nous_chat.E001")]
    problems: list[CheckMessage] = []
    for slug, agent in settings.AGENTS.items():
        try:
            if not agent.agent:
                provider_for(model_of(agent))
            build(agent)
        except engine.ConfigurationError as error:
            problems.append(Error(f"Agent {slug!r}: {error}", id="nous_chat.E002"))
    return problems
