"""Opening what a run left behind."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from crosslens.data import EncodedDataset
from crosslens.errors import ParameterError, ProjectError
from crosslens.models import FittedModel
from crosslens.runs import RunRecord

from ..encoding import Encoders, open_encoded
from ..outputs import labelled_for
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

    def output(self, name: str = "") -> str:
        """Return the output of that name, or the first; ParameterError if the model has no such output."""
        known = self.facts.predicted
        if name and name not in known:
            raise ParameterError(
                f"{self.facts.model_title} has no output {name!r}.", do=f"It has {', '.join(known)}.", output=name
            )
        return name or known[0]

    def test_data(self, output: str) -> EncodedDataset:
        """Return the encoded test rows an output is measured on, with its label, in the order of its predictions."""
        folder = self.project.data_folder / self.facts.encoded
        recipe = recipe_from_toml(self.record.recipe)
        encoded = (
            open_encoded(folder)
            if folder.exists()
            else encode_again(self.facts.snapshot, recipe, self.encoders, folder)
        )
        return labelled_for(output, encoded.take(self.folder.output(output).test_rows()))


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
