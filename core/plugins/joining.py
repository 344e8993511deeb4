"""Where plugins meet the rest: hosts of the two kinds of process, and rows that know what the host refused."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from types import ModuleType

from crosslens.errors import PluginError

from ..plugin_host import Host, Source, load_plugins
from ..ports import PluginHost
from .library import Library
from .loading import load
from .rows import PluginModel, PluginRow, Standing


def host_of(builtin: Sequence[tuple[str, ModuleType]], library: Library) -> Host:
    """Return the host of a process that imports no stranger's code; `refresh` sees what is installed since."""
    return load_plugins(builtin, library.sources)


def worker_host(builtin: Sequence[tuple[str, ModuleType]], library: Library, key: str) -> Host:
    """Import a plugin here and return the host of its worker; PluginError if it cannot be loaded."""
    plugin = library.loadable(key)
    registered, problems, _ = load(plugin, library.folder)
    if problems:
        raise PluginError(problems[0].message, details=problems[0].details, plugin=key)
    return load_plugins(builtin, lambda: (Source(plugin.name, registered),))


def listed(library: Library, host: PluginHost) -> tuple[PluginRow, ...]:
    """Return every plugin, built-in ones last, with what the host refused of each."""
    refused = {problem.name: problem for problem in reversed(host.problems())}
    rows = []
    for row in library.rows():
        problem = refused.get(row.name)
        if row.standing is Standing.ENABLED and problem is not None:
            taken = any(row.key in (host.worker_of(each.id), host.worker_of_encoder(each.id)) for each in row.models)
            standing = Standing.ENABLED if taken else Standing.BROKEN
            row = replace(row, standing=standing, sentence=problem.message, details=problem.details)
        rows.append(row)
    return (*rows, *_built_in(host, {row.name for row in rows}))


def _built_in(host: PluginHost, others: set[str]) -> list[PluginRow]:
    found: dict[str, list[PluginModel]] = {}
    for spec in host.models():
        if not host.worker_of(spec.id):
            found.setdefault(host.plugin_of(spec.id), []).append(PluginModel(spec.id, spec.title, str(spec.task)))
    for encoder in host.text_encoders():
        if not host.worker_of_encoder(encoder.id):
            about = PluginModel(encoder.id, encoder.title, "text encoder")
            found.setdefault(host.plugin_of_encoder(encoder.id), []).append(about)
    rows = [
        PluginRow(name, name, "", "built-in", Standing.BUILT_IN, models=tuple(models)) for name, models in found.items()
    ]
    broken = [problem for problem in host.problems() if problem.name not in others]
    return rows + [
        PluginRow(each.name, each.name, "", "built-in", Standing.BROKEN, each.message, each.details) for each in broken
    ]
