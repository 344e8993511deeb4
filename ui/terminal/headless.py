"""The worker command, and the process that looks into one plugin."""

from __future__ import annotations

import logging
import os
from argparse import Namespace
from typing import TYPE_CHECKING, Any

from crosslens.errors import UserError

from .parts import Parts
from .terminal import Terminal

if TYPE_CHECKING:
    from core.services import JobControl, Services


def worker(options: Namespace, parts: Parts, terminal: Terminal) -> int:
    """Serve jobs on stdin and stdout, with one stranger's plugin if asked."""
    from core.jobs import perform
    from core.plugins.workers import KeptWorkers
    from core.worker import serve, take_streams

    streams = take_streams()
    try:
        services: Services | UserError = parts.services(
            threads=options.threads, plugin=options.plugins, device=options.device
        )
    except UserError as error:  # the plugin cannot be loaded; whoever asks is told
        logging.getLogger("crosslens.plugins").error("%s\n%s", error, error.facts.get("details", ""))
        services = error
    else:
        if services.plugins is not None:
            services.plugins.kept = KeptWorkers()

    def handle(request: Any, control: JobControl) -> Any:
        if isinstance(services, UserError):
            raise services
        return perform(request, services.with_secret(control.secret), control)

    return serve(handle, streams)


def describe(options: Namespace, parts: Parts, terminal: Terminal) -> int:
    """Import a plugin and write down what it brings; the process ends then at once, whatever threads were started."""
    from core.plugins.loading import described
    from core.plugins.looking import end_with_parent, write_answer

    end_with_parent()
    library = parts.library()
    plugin = library.loadable(options.plugins)
    write_answer(options.describe, lambda: described(plugin, library.folder), plugin.name)
    os._exit(0)
