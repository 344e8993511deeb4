"""The one report of a model that is counted rather than trained."""

from __future__ import annotations

from crosslens import FitContext, FitProgress, SequenceTrainingData

from .ranking import Score, Validation

_VALIDATION_USERS = 5000


def report_fit(score: Score, data: SequenceTrainingData, context: FitContext) -> None:
    """Report the validation NDCG@10 of a finished model."""
    validation = Validation.sample(data.validation, most=_VALIDATION_USERS, seed=context.seed)
    metrics = {"ndcg@10": validation.ndcg(score)}
    context.progress(FitProgress(epoch=1, epochs=1, step=1, steps=1, metrics=metrics, best_epoch=1))
