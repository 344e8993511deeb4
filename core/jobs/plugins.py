"""Plugins as the window and the command line change them."""

from __future__ import annotations

from crosslens.errors import InternalError, ParameterError

from ..commands import ChangePlugin, InspectPlugin, InstallPlugin, PluginChanged, PluginOffer
from ..plugins.archive import opened_plugin
from ..plugins.library import Library
from ..plugins.offers import offer
from ..services import JobControl, Services


def inspect_plugin(request: InspectPlugin, services: Services, control: JobControl) -> PluginOffer:
    """Look at a file; PluginError says why it cannot be installed."""
    with opened_plugin(request.path, check=control.check) as plugin:
        return offer(plugin, _library(services))


def install_plugin(request: InstallPlugin, services: Services, control: JobControl) -> PluginChanged:
    """Install the file somebody agreed to; a Stop leaves everything as it was."""
    row = _library(services).install(request.path, sha256=request.sha256, check=control.check)
    return PluginChanged(row.name, row.sentence)


def change_plugin(request: ChangePlugin, services: Services, control: JobControl) -> PluginChanged:
    """Do what is asked with one plugin, or look into all new ones."""
    library = _library(services)
    if request.action == "look":
        return PluginChanged(", ".join(library.describe_pending()))
    if request.action == "unblock":
        return PluginChanged(library.unblock(request.key).name)
    if request.action not in ("enable", "disable", "remove"):
        raise ParameterError(
            f"Nobody knows how to {request.action} a plugin.", do="enable, disable, remove, unblock or look."
        )
    row = library.row(request.key)
    if request.action == "remove":
        library.remove(row.key)
        return PluginChanged(row.name)
    if request.action == "disable":
        return PluginChanged(library.disable(row.key).name)
    row = library.enable(row.key, check=control.check)
    return PluginChanged(row.name, row.sentence)


def _library(services: Services) -> Library:
    if services.plugins is None:
        raise InternalError("plugins were asked for in a plugin's own worker")
    if services.plugins.kept is not None:
        services.plugins.kept.close()  # it may hold files that are about to go
    return services.plugins
