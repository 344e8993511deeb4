"""How `crosslens plugin new | check | bundle` is asked for; nothing heavy is imported here."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

KINDS = ("ctr", "funnel", "next-item", "text-encoder")


def add_plugin_kit(commands: Any, command: Callable[..., argparse.ArgumentParser]) -> None:
    """Add the author's commands to those of `crosslens plugin`."""
    new = command(commands, "new", "plugin_kit:new", "Write a working plugin to start from: a model, tests, a README.")
    new.add_argument("name", metavar="NAME", help="small letters, digits and hyphens, such as my-model")
    new.add_argument("--kind", choices=KINDS, default="ctr", help="what it brings (%(default)s)")
    new.add_argument("--folder", type=Path, default=Path(), metavar="DIR", help="where to write it (here)")
    new.add_argument("--author", default="", metavar="TEXT", help="who made it (your user name)")
    check = command(
        commands,
        "check",
        "plugin_kit:check",
        "Say on one page whether a plugin is fit to be given away (this runs its code).",
    )
    check.add_argument("path", type=Path, metavar="PATH", help="a project folder, a wheel or a bundle")
    check.add_argument("--wheelhouse", type=Path, metavar="DIR", help="folder of wheels the plugin needs")
    check.add_argument(
        "--seconds", type=float, default=600.0, metavar="S", help="time limit of each run of tests (%(default)s)"
    )
    bundle = command(commands, "bundle", "plugin_kit:bundle", "Build a plugin and pack it into one file to install.")
    bundle.add_argument("path", type=Path, metavar="PATH", help="a project folder or a wheel")
    bundle.add_argument("--wheelhouse", type=Path, metavar="DIR", help="folder of wheels the plugin needs")
    bundle.add_argument("--out", type=Path, metavar="DIR", help="where to write it (PATH/dist)")
