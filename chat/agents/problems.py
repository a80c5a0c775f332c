"""What is wrong with the description of an agent, before it is saved or tried."""

from django.contrib.auth.models import Group
from django.utils.translation import gettext as _

from .. import engine
from ..conf import AgentConf
from ..engine.exceptions import MissingKeyError
from ..engine.providers import provider_for
from ..engine.providers.replay import ReplayProvider
from ..engine.providers.vendors import VENDORS
from ..models.groups import has_groups
from . import factory


def find_problems(settings: AgentConf) -> dict[str, str]:
    """Sentences for people, by the field that they are about. Keys of providers are in none of them."""
    found = {}
    if problem := _problem_of_model(factory.model_of(settings)):
        found["model"] = problem
    if problems := list(filter(None, map(_problem_of_model, settings.fallback))):
        found["fallback"] = problems[0]
    if problem := _problem_of_tools(settings.tools):
        found["tools"] = problem
    if problem := _problem_of_groups(settings.groups):
        found["groups"] = problem
    return found


def _problem_of_groups(names: tuple[str, ...]) -> str:
    if not names:
        return ""
    if not has_groups():
        return _("The site's users have no groups, so nobody could use this agent.")
    missing = set(names) - set(Group.objects.values_list("name", flat=True))
    return _("There is no group %(names)s.") % {"names": ", ".join(sorted(missing))} if missing else ""


def _problem_of_model(model: str) -> str:
    try:
        if isinstance(provider_for(model, factory.environ()), ReplayProvider):  # staff could name any file
            raise engine.ConfigurationError("Recordings are for the site's settings.")
    except MissingKeyError:
        return _("The site has no key for the provider of %(model)s.") % {"model": model}
    except engine.ConfigurationError:
        given = {"model": model, "known": ", ".join(["demo", *VENDORS])}
        return _("%(model)s is no model. Write provider:model, with one of these providers: %(known)s.") % given
    return ""


def _problem_of_tools(paths: tuple[str, ...]) -> str:
    names = []
    for path in paths:
        if path not in factory.offered_tools():
            return _("The site has no tool %(path)s.") % {"path": path}
        try:
            names.append(factory.load_tool(path).name)
        except engine.ConfigurationError:
            return _("The tool %(path)s cannot be loaded.") % {"path": path}
    if twice := sorted({name for name in names if names.count(name) > 1}):
        return _("Two tools have the name %(name)s. Choose one of them.") % {"name": twice[0]}
    return ""
