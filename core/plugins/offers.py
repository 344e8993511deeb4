"""What somebody has to agree to before a plugin is installed."""

from __future__ import annotations

from ..commands import PluginOffer
from .archive import PluginFile
from .library import Library


def offer(plugin: PluginFile, library: Library) -> PluginOffer:
    """Return what somebody has to agree to before a file is installed."""
    manifest = plugin.manifest
    former = next((row for row in library.rows() if row.key == manifest.id), None)
    return PluginOffer(
        path=plugin.path,
        key=manifest.id,
        name=manifest.name,
        version=manifest.version,
        sha256=plugin.sha256,
        summary=manifest.summary,
        authors=manifest.authors or ((plugin.wheel.author,) if plugin.wheel.author else ()),
        licence=manifest.licence or plugin.wheel.licence,
        capabilities=manifest.capabilities,
        models=tuple(
            [model.title for model in manifest.models] + [encoder.title for encoder in manifest.text_encoders]
        ),
        private=tuple(f"{wheel.name} {wheel.version}" for wheel in plugin.needs.private),
        shared=tuple(f"{each.name} {each.version}" for each in plugin.needs.shared),
        files=plugin.files,
        unpacked=plugin.unpacked,
        trusted=library.trusts(plugin.sha256),
        replaces="" if former is None else f"{former.name} {former.version}",
    )
