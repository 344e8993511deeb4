"""Which run somebody means: by its id, a part of it, its model, or `latest`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from core.ports import ProjectStore
from crosslens.errors import ProjectError
from crosslens.runs import RunRecord, RunStatus

from .parts import Parts

LATEST = "latest"
_NAMED = 5
_TRAINED = (RunStatus.FINISHED, RunStatus.STOPPED)


def find_run(said: str, runs: Sequence[RunRecord]) -> RunRecord:
    """Return the run that is meant; `runs` are newest first. ProjectError names what there is to choose from.

    A model and `latest` mean runs that have a model: those that failed are passed over.
    """
    trained = [run for run in runs if run.status in _TRAINED]
    for alike in (
        [run for run in runs if run.id == said],
        [run for run in trained if said in (LATEST, run.model)][:1],
        [run for run in runs if said and said in run.id],
    ):
        if len(alike) == 1:
            return alike[0]
        if alike:
            raise ProjectError(f"“{said}” is in the names of {len(alike)} runs.", do=f"Name one of {_listed(alike)}.")
    if not runs:
        raise ProjectError(f"There is no run “{said}”.", why="The project has none.", do="Train a model first.")
    raise ProjectError(f"There is no run “{said}”.", do=f"Name one of {_listed(runs)}, or {LATEST}.", run=said)


def _listed(runs: Sequence[RunRecord]) -> str:
    named = ", ".join(run.id for run in runs[:_NAMED])
    return named if len(runs) <= _NAMED else f"{named} … (crosslens runs lists all {len(runs)})"


def run_in(project: ProjectStore, said: str) -> RunRecord:
    """Return the run of a project that is meant, one in the bin only by its whole id."""
    binned = [run for run in project.runs(deleted=True) if run.id == said]
    return binned[0] if binned else find_run(said, project.runs())


def chosen_run(said: str, folder: Path, parts: Parts) -> str:
    """Return the id of the run that is meant in the project of a folder."""
    project = parts.services().projects.open(folder.absolute())
    try:
        return run_in(project, said).id
    finally:
        project.close()
