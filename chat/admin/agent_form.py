"""The form of an agent in the database: an entry of AGENTS, with choices that the site offers."""

from typing import Any, ClassVar

import msgspec
from django import forms
from django.contrib.auth.models import Group
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from .. import agents, engine, store
from ..conf import AgentConf, conf
from ..models import StoredAgent

MAX_INSTRUCTIONS = 50_000
"""Characters. They are sent with every question."""

EFFORTS = {"low": gettext_lazy("low"), "medium": gettext_lazy("medium"), "high": gettext_lazy("high")}


class Lines(forms.CharField):
    """A text area whose lines are the values."""

    def __init__(self, **options: Any) -> None:
        area = forms.Textarea(attrs={"rows": 3, "cols": 60})
        super().__init__(required=False, max_length=5000, widget=area, **options)

    def prepare_value(self, value: Any) -> Any:
        return value if isinstance(value, str) or value is None else "\n".join(value)

    def has_changed(self, initial: Any, data: Any) -> bool:
        return bool(self.clean(self.prepare_value(initial)) != self.clean(data))

    def clean(self, value: Any) -> Any:
        return [line.strip() for line in super().clean(value).splitlines() if line.strip()]


class AgentForm(forms.ModelForm):
    """`settings` is what it says, if it is valid."""

    name = forms.CharField(label=gettext_lazy("Name"), max_length=100)
    description = forms.CharField(
        label=gettext_lazy("Description"),
        required=False,
        max_length=300,
        help_text=gettext_lazy("What it is for. An empty conversation shows it."),
        widget=forms.TextInput(attrs={"class": "vTextField"}),
    )
    picture = forms.CharField(
        label=gettext_lazy("Picture"),
        required=False,
        max_length=500,
        help_text=gettext_lazy("The address of an image: a path on this site, or one that begins with https://."),
        widget=forms.TextInput(attrs={"class": "vTextField"}),
    )
    instructions = forms.CharField(
        label=gettext_lazy("Instructions"),
        required=False,
        max_length=MAX_INSTRUCTIONS,
        help_text=gettext_lazy("The system prompt. Users do not see it, but a model may repeat it to them."),
        widget=forms.Textarea(attrs={"rows": 12, "cols": 80}),
    )
    starters = Lines(
        label=gettext_lazy("Starters"), help_text=gettext_lazy("Example prompts for an empty conversation, one a line.")
    )
    model = forms.CharField(
        label=gettext_lazy("Model"),
        required=False,
        max_length=200,
        help_text=gettext_lazy("As provider:model. If empty: the site's default model."),
    )
    fallback = Lines(
        label=gettext_lazy("Fallback models"),
        help_text=gettext_lazy("Asked in this order if the model fails before its first word. One a line."),
    )
    temperature = forms.FloatField(
        label=gettext_lazy("Temperature"),
        required=False,
        min_value=0,
        max_value=2,
        help_text=gettext_lazy("How much answers vary, from 0 to 2. Leave it empty for models that accept none."),
    )
    reasoning_effort = forms.ChoiceField(
        label=gettext_lazy("Reasoning effort"),
        required=False,
        choices=[("", gettext_lazy("the model's default")), *EFFORTS.items()],
        help_text=gettext_lazy("How much the model thinks first. Only for models that can."),
    )
    max_output_tokens = forms.IntegerField(
        label=gettext_lazy("Longest answer (tokens)"),
        required=False,
        min_value=1,
        max_value=10_000_000,
        help_text=gettext_lazy("If empty: the model's own limit."),
    )
    history_tokens = forms.IntegerField(
        label=gettext_lazy("History (tokens)"),
        required=False,
        min_value=1,
        max_value=10_000_000,
        help_text=gettext_lazy("How much of the conversation the model receives. If empty: the site's setting."),
    )
    max_turns = forms.IntegerField(
        label=gettext_lazy("Requests per answer"),
        initial=AgentConf().max_turns,
        min_value=1,
        max_value=100,
        help_text=gettext_lazy("Each round of tools takes one more."),
    )
    total_timeout = forms.FloatField(
        label=gettext_lazy("Time limit (seconds)"),
        required=False,
        min_value=1,
        max_value=86_400,
        help_text=gettext_lazy("How long one answer may take. If empty: the site's setting."),
    )
    images = forms.BooleanField(
        label=gettext_lazy("Accepts images"),
        required=False,
        initial=True,
        help_text=gettext_lazy("If not, the model is told only the names of attached images."),
    )
    documents = forms.BooleanField(
        label=gettext_lazy("Documents"),
        required=False,
        help_text=gettext_lazy("Can create, read, and change the conversation's documents."),
    )
    tools = forms.MultipleChoiceField(label=gettext_lazy("Tools"), required=False, widget=forms.CheckboxSelectMultiple)
    groups = forms.MultipleChoiceField(
        label=gettext_lazy("Groups"),
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text=gettext_lazy("Only their members can use it. If none is chosen, everybody can."),
    )
    based_on = forms.IntegerField(required=False, widget=forms.HiddenInput)

    settings = AgentConf()

    class Meta:
        model = StoredAgent
        fields: ClassVar = ["slug", "enabled"]

    def __init__(self, *args: Any, **options: Any) -> None:
        instance: StoredAgent | None = options.get("instance")
        if instance is not None and instance.pk is not None:
            current = store.get_agent_version(instance.slug, instance.version)
            given = msgspec.to_builtins(current) | {"based_on": instance.version}
            options["initial"] = given | (options.get("initial") or {})
        super().__init__(*args, **options)
        tools = _all(agents.offered_tools(), self.initial.get("tools", ()))
        self._choice("tools").choices = [(path, _describe_tool(path)) for path in tools]
        names = Group.objects.order_by("name").values_list("name", flat=True)
        groups = _all(names, self.initial.get("groups", ()))
        self._choice("groups").choices = [(name, name) for name in groups]

    def _choice(self, name: str) -> forms.MultipleChoiceField:
        field = self.fields[name]
        assert isinstance(field, forms.MultipleChoiceField)
        return field

    def clean_slug(self) -> str:
        slug: str = self.cleaned_data["slug"]
        if slug in conf.AGENTS and self.instance.pk is None:
            raise forms.ValidationError(_("The site's settings have an agent with this ID. Choose another one."))
        return slug

    def clean_instructions(self) -> str:
        return "\n".join(self.cleaned_data["instructions"].splitlines())  # browsers send \r\n

    def clean(self) -> dict[str, Any]:
        given: dict[str, Any] = super().clean() or self.cleaned_data
        if self.errors:
            return given
        fields = {name: given[name] for name in AgentConf.__struct_fields__ if name in given}
        fields |= {name: fields[name] or None for name in ("model", "reasoning_effort")}
        try:
            self.settings = msgspec.convert(fields, AgentConf)
        except msgspec.ValidationError:  # only a pattern is not checked by the fields above
            self.add_error("picture", _("Give a path on this site, or an address that begins with https://."))
            return given
        for field, problem in agents.find_problems(self.settings).items():
            self.add_error(field, problem)
        return given


def _all(offered: Any, chosen: Any) -> list[str]:
    """What can be chosen, and what was: the form says what is wrong with it."""
    return list(dict.fromkeys([*offered, *chosen]))


def _describe_tool(path: str) -> str:
    try:
        tool = agents.load_tool(path)
    except engine.ConfigurationError:
        return path
    name = _("%(name)s (asks for approval)") % {"name": tool.name} if tool.requires_approval else tool.name
    return f"{name}: {tool.description.partition(chr(10))[0]}"
