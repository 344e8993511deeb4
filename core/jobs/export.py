"""A trained model for use outside: as an ONNX file, or as a folder of weights, encoders and instructions."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from crosslens.data import RESERVED_IDS
from crosslens.errors import PluginError, StorageError
from crosslens.models import OnnxExport
from crosslens.plain import to_plain

from ..commands import ExportModel, ModelExported, Phase
from ..export.guide import field_guide, properties
from ..export.readme import ModelStory, readme
from ..files import replace_file, replace_folder
from ..run_folder import RunFolder
from ..services import JobControl, Services
from .next_item_ask import OpenRecommender, is_next_item, opened_recommender
from .runs import OpenRun, opened_run
from .score import recipe_names

_ONNX = ".onnx"


def export_model(request: ExportModel, services: Services, control: JobControl) -> ModelExported:
    """Write FILE.onnx (replaced if it is there), or a new folder; StorageError if the folder holds anything."""
    output = request.output.absolute()
    if _of_items(request, output, services):
        return _export_recommender(request, output, services, control)
    with opened_run(request.project, request.run, services) as run:
        control.check()
        if output.suffix.lower() == _ONNX:
            return _as_onnx(run, output, control)
        story = ModelStory(run.facts.model_title, run.record.model, run.record.id, run.facts.predicted, ())
        return _as_folder(run.folder, story, output, lambda folder: _write_encoders(run, folder), control)


def _of_items(request: ExportModel, output: Path, services: Services) -> bool:
    """Whether the run is one of a next-item model; PluginError where such a one is wanted as ONNX."""
    project = services.projects.open(request.project)
    try:
        found = is_next_item(request.run, project, services)
        if found and output.suffix.lower() == _ONNX:
            raise _no_onnx(services.host.model(project.run(request.run).model).title)
        return found
    finally:
        project.close()


def _as_onnx(run: OpenRun, output: Path, control: JobControl) -> ModelExported:
    if not isinstance(run.model, OnnxExport):
        raise _no_onnx(run.facts.model_title)
    control.say(Phase.WRITING, f"Writing {output.name}")
    facts = {
        "model": run.record.model,
        "title": run.facts.model_title,
        "run": run.record.id,
        "outputs": json.dumps(run.facts.predicted),
    }
    metadata, model = properties(run.encoders, recipe_names(run), facts), run.model
    replace_file(output, lambda path: model.export_onnx(path, metadata))
    return ModelExported(output)


def _no_onnx(title: str) -> PluginError:
    return PluginError(
        f"{title} cannot be written as ONNX.",
        why="The model does not offer it.",
        do="Export it as a folder: name one without the ending .onnx.",
    )


def _export_recommender(request: ExportModel, output: Path, services: Services, control: JobControl) -> ModelExported:
    with opened_recommender(request.project, request.run, services, control) as run:
        folder = RunFolder(run.project.run_folder(run.record.id))
        story = ModelStory(run.spec.title, run.record.model, run.record.id, ("the next item",), ())
        return _as_folder(folder, story, output, lambda path: _write_items(run, path), control)


def _as_folder(
    run: RunFolder, story: ModelStory, output: Path, add: Callable[[Path], None], control: JobControl
) -> ModelExported:
    _refuse_filled(output)
    control.say(Phase.WRITING, f"Writing {output.name}")

    def write(folder: Path) -> None:
        shutil.copytree(run.model_folder, folder / "model")
        add(folder)
        control.check()
        of_items = (folder / "items.parquet").exists()
        files = ModelStory(story.title, story.model, story.run, story.outputs, _files(folder))
        (folder / "README.md").write_text(readme(files, of_items=of_items), encoding="utf-8")

    if output.exists():
        output.rmdir()  # it is empty; the new one takes its place as a whole
    replace_folder(output, write)
    return ModelExported(output, _files(output))


def _refuse_filled(output: Path) -> None:
    if output.is_dir() and not any(output.iterdir()):
        return
    if output.exists() or output.is_symlink():
        raise StorageError(
            f"{output} already exists.",
            why="A model is exported into a new folder.",
            do="Choose another name, or move it away.",
            path=str(output),
        )


def _files(folder: Path) -> tuple[str, ...]:
    return tuple(sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()))


def _write_encoders(run: OpenRun, folder: Path) -> None:
    (folder / "encoders.json").write_text(run.encoders.to_json(), encoding="utf-8")
    _write_json(folder / "fields.json", field_guide(run.encoders, recipe_names(run)))
    _write_json(folder / "schema.json", to_plain(run.encoders.schema))


def _write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, ensure_ascii=False, indent=1), encoding="utf-8")


def _write_items(run: OpenRecommender, folder: Path) -> None:
    values = run.data.sequences.vocabulary.values
    ids = pa.array(np.arange(RESERVED_IDS, RESERVED_IDS + len(values), dtype=np.int32))
    pq.write_table(pa.table({"id": ids, "item": values, "title": run.data.items.titles}), folder / "items.parquet")
