"""Runs in a nutshell, as plain data for machines: what was measured, what interacts, what was planted and found."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from crosslens.plain import to_plain
from crosslens.runs import RunRecord

from .metrics import compare_auc
from .ports import ProjectStore
from .recipe_toml import recipe_from_toml
from .run_folder import OutputFolder, RunFolder


def summarise(records: Sequence[RunRecord], project: ProjectStore, *, top: int = 10) -> list[dict[str, Any]]:
    """Return one entry a run: id, model, task, status, rows, metrics with intervals, seconds, top interactions."""
    return [_run(record, RunFolder(project.run_folder(record.id)), top) for record in records]


def _run(record: RunRecord, folder: RunFolder, top: int) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "run": record.id,
        "model": record.model,
        "title": record.title,
        "status": record.status.value,
        "seconds": record.seconds,
        "metrics": {name: to_plain(metric) for name, metric in record.metrics.items()},
    }
    evidence, faithfulness = folder.evidence(), folder.faithfulness()
    if (folder.path / "facts.json").exists():
        facts = folder.facts()
        entry["task"] = facts.label
        entry["rows"] = {"train": facts.rows_train, "validation": facts.rows_validation, "test": facts.rows_test}
        entry["seconds_by_phase"] = dict(facts.seconds)
        if len(facts.predicted) > 1:
            entry["outputs"] = {name: _output(folder.output(name), top) for name in facts.predicted}
        if (funnel := folder.funnel()) is not None:
            entry["funnel"] = to_plain(funnel)
    if evidence:
        entry["interactions"] = [_pair(pair) for pair in evidence.pairs[:top]]
        entry["interactions_looked_at"] = len(evidence.pairs)
        entry["interactions_supported"] = sum(pair.supported for pair in evidence.pairs)
    if faithfulness:
        entry["faithfulness"] = {"area": faithfulness.area, "low": faithfulness.low, "high": faithfulness.high}
    return entry


def _output(folder: OutputFolder, top: int) -> dict[str, Any]:
    """Return what is known about one output of a funnel model."""
    quality, evidence = folder.quality("test"), folder.evidence()
    return {
        "rows": quality.rows if quality else 0,
        "positives": quality.positives if quality else 0,
        "metrics": {metric.name: to_plain(metric) for metric in quality.metrics} if quality else {},
        "interactions": [_pair(pair) for pair in evidence.pairs[:top]] if evidence else [],
    }


def _pair(pair: Any) -> dict[str, Any]:
    return {
        "fields": list(pair.fields),
        "effect": pair.effect,
        "effect_interval": [pair.effect_low, pair.effect_high],
        "gain": pair.gain,
        "gain_interval": [pair.gain_low, pair.gain_high],
        "q_value": pair.q_value,
        "supported": pair.supported,
    }


def against(records: Sequence[RunRecord], baseline: str, project: ProjectStore) -> dict[str, dict[str, Any]]:
    """Return, for every other run on the same test rows, its AUC minus the AUC of the model `baseline` (paired)."""
    reference = next((record for record in records if record.model == baseline), None)
    if reference is None:
        return {}
    labels, scores = _scores(reference, project)
    found = {}
    for record in records:
        if record is reference or record.data_fingerprint != reference.data_fingerprint:
            continue
        comparison = compare_auc(labels, _scores(record, project)[1], scores)
        found[record.model] = {**to_plain(comparison), "different": comparison.different}
    return found


def _scores(record: RunRecord, project: ProjectStore) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    table = RunFolder(project.run_folder(record.id)).predictions()
    assert table is not None, "a finished run has predictions"
    return table["label"].to_numpy(), table["probability"].to_numpy()


def planted_found(records: Sequence[RunRecord], truth: Path, project: ProjectStore) -> list[dict[str, Any]]:
    """Return every planted interaction with the rank each model gives to its (best) pair of fields."""
    planted = json.loads(truth.read_text(encoding="utf-8"))["planted"]
    return [
        {
            **each,
            "rank": {record.model: _rank(each["fields"], record, project) for record in records},
        }
        for each in planted
    ]


def _rank(fields: Sequence[str], record: RunRecord, project: ProjectStore) -> int | None:
    evidence = RunFolder(project.run_folder(record.id)).evidence()
    names = set(_known_names(record)) & set(fields)
    if evidence is None or len(names) < len(fields):
        return None
    for place, pair in enumerate(evidence.pairs, start=1):
        if set(pair.fields) <= set(fields):
            return place
    return None


def _known_names(record: RunRecord) -> tuple[str, ...]:
    return tuple(field.name for field in recipe_from_toml(record.recipe).fields)
