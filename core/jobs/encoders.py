"""The text encoders that a recipe names for a model, looked for before anything is read or trained."""

from __future__ import annotations

from crosslens.models import ModelSpec
from crosslens.parameters import describe_parameters

from ..ports import PluginHost
from ..recipe import ModelChoice


def named_encoders(choice: ModelChoice, spec: ModelSpec) -> tuple[str, ...]:
    """Return the ids of the text encoders that the parameters of a model name; defaults are not among them."""
    asking = [info.name for info in describe_parameters(spec.parameters) if info.source == "text-encoders"]
    return tuple(str(choice.parameters[name]) for name in asking if name in choice.parameters)


def check_encoders(choice: ModelChoice, spec: ModelSpec, host: PluginHost) -> None:
    """PluginError for an encoder that is not there: its model would say so only after those before it were trained."""
    for name in named_encoders(choice, spec):
        host.text_encoder(name)
