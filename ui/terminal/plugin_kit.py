"""`crosslens plugin new`, `check` and `bundle`: for authors of plugins."""

from __future__ import annotations

from argparse import Namespace

from core.plugin_kit.bundle import write_bundle
from core.plugin_kit.check import Checked, Verdict, check_plugin
from core.plugin_kit.new import write_plugin
from crosslens._sizes import format_bytes

from .parts import Parts
from .terminal import Terminal

_FAILED = 1
_MARKS = {Verdict.PASSED: "ok", Verdict.NOTED: "note", Verdict.FAILED: "FAILED"}


def new(options: Namespace, parts: Parts, terminal: Terminal) -> None:
    """Write a plugin and say what to do next."""
    files = write_plugin(options.name, options.kind, folder=options.folder, author=options.author)
    home = options.folder / options.name
    for file in files:
        terminal.say(f"  {file}")
    terminal.say(f"A working plugin is in {home}; {home / 'README.md'} says what is where. Next:")
    terminal.say(f"  crosslens plugin check {home}     # after every change: is it fit to be given away?")
    terminal.say(f"  crosslens plugin bundle {home}    # one file, to install and to give away")
    terminal.result({"folder": str(home), "files": [str(file) for file in files]})


def check(options: Namespace, parts: Parts, terminal: Terminal) -> int:
    """Print the page; the exit code is 1 where something failed."""
    checked = check_plugin(options.path, wheelhouse=options.wheelhouse, seconds=options.seconds, say=terminal.say)
    terminal.say("\n".join(page(checked)))
    terminal.result(
        {
            "title": checked.title,
            "fit": checked.fit,
            "findings": [
                {"name": each.name, "verdict": each.verdict.value, "said": list(each.said), "seconds": each.seconds}
                for each in checked.findings
            ],
        }
    )
    return 0 if checked.fit else _FAILED


def page(checked: Checked) -> list[str]:
    """Return the verdict as lines of text."""
    width = max(len(finding.name) for finding in checked.findings)
    lines = [checked.title]
    for finding in checked.findings:
        first, *rest = finding.said
        time = f" ({finding.seconds:.1f} s)" if finding.seconds else ""
        lines.append(f"  {_MARKS[finding.verdict]:<6}  {finding.name:<{width}}  {first}{time}")
        lines += [f"{'':<{width + 12}}{sentence}" for sentence in rest]
    failed = sum(finding.verdict is Verdict.FAILED for finding in checked.findings)
    lines.append("Fit to be given away." if checked.fit else f"Not yet: {failed} of {len(checked.findings)} failed.")
    return lines


def bundle(options: Namespace, parts: Parts, terminal: Terminal) -> None:
    """Write the bundle and say what is in it."""
    written = write_bundle(options.path, options.out, wheelhouse=options.wheelhouse)
    terminal.say(f"{written.path} ({format_bytes(written.bytes)}) is ready to be given away.")
    terminal.say(f"SHA-256 {written.sha256}")
    if written.private:
        terminal.say(f"It brings {', '.join(written.private)}.")
    terminal.say(f"To install it: crosslens plugin install {written.path}")
    terminal.result(
        {
            "path": str(written.path),
            "sha256": written.sha256,
            "bytes": written.bytes,
            "private": list(written.private),
            "shared": list(written.shared),
        }
    )
