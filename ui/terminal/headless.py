"""The worker command."""

from __future__ import annotations

from argparse import Namespace

from core.jobs import perform
from core.worker import serve

from .parts import Parts
from .terminal import Terminal


def worker(options: Namespace, parts: Parts, terminal: Terminal) -> int:
    """Serve jobs on stdin and stdout."""
    services = parts.services(threads=options.threads)
    return serve(lambda request, control: perform(request, services.with_secret(control.secret), control))
