"""Opening what a run left behind."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from crosslens.data import EncodedDataset
from crosslens.errors import ProjectError
from crosslens.models import FittedModel
from crosslens.runs import RunRecord

from ..encoding import Encoders, open_encoded
from ..ports import ProjectStore
from ..recipe_toml import recipe_from_toml
from ..run_folder import RunFacts, RunFolder
from ..services import Services
from .data import encode_again


@dataclass(frozen=True, slots=True, eq=False)
class OpenRun:
    """A finished run, ready to be asked."""

    record: RunRecord
    folder: RunFolder
    facts: RunFacts
    encoders: Encoders
    model: FittedModel
    project: ProjectStore

    def test_data(self) -> EncodedDataset:
        """Return the encoded test rows, in the order of the run's predictions."""
        folder = self.project.data_folder / self.facts.encoded
        recipe = recipe_from_toml(self.record.recipe)
        encoded = (
            open_encoded(folder)
            if folder.exists()
            else encode_again(self.facts.snapshot, recipe, self.encoders, folder)
        )
        return encoded.take(self.folder.test_rows())


@contextmanager
def opened_run(project_folder: Path, run_id: str, services: Services) -> Iterator[OpenRun]:
    """Open a run with its model; ProjectError if it has none yet."""
    project = services.projects.open(project_folder)
    try:
        record = project.run(run_id)
        folder = RunFolder(project.run_folder(run_id))
        if not folder.model_folder.exists():
            raise ProjectError(
                f"The run {run_id} has no trained model.",
                why=f"It is {record.status}.",
                do="Resume it, or choose a finished run.",
            )
        spec = services.host.model(record.model)
        yield OpenRun(
            record=record,
            folder=folder,
            facts=folder.facts(),
            encoders=Encoders.from_json(folder.encoders_file.read_text(encoding="utf-8")),
            model=spec.load(folder.model_folder),
            project=project,
        )
    finally:
        project.close()
