"""What the application does: one function a command, the same for the window, the command line and the worker."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..commands import (
    CountRows,
    EstimateQuery,
    EstimateTraining,
    ExplainRecommendation,
    ExplainRow,
    MakeReport,
    MakeSample,
    MakeValueTable,
    MeasureJoins,
    OpenSource,
    PrepareFields,
    ProposeQuery,
    ReadPage,
    RecommendToUser,
    Score,
    Train,
    Tune,
)
from ..services import JobControl, Services
from .browse import (
    count_rows,
    estimate_query,
    measure_joins,
    open_source,
    prepare_fields,
    propose_query,
    read_page,
)
from .estimate import estimate_training
from .explain import explain_row, make_value_table
from .next_item_ask import explain_recommendation, recommend_to_user
from .report import make_report
from .sample import make_sample
from .scoring import score_run
from .train import train
from .tune import tune

HANDLERS: Mapping[type, Callable[[Any, Services, JobControl], Any]] = {
    OpenSource: open_source,
    ReadPage: read_page,
    CountRows: count_rows,
    MeasureJoins: measure_joins,
    EstimateQuery: estimate_query,
    ProposeQuery: propose_query,
    PrepareFields: prepare_fields,
    MakeSample: make_sample,
    EstimateTraining: estimate_training,
    Train: train,
    Tune: tune,
    ExplainRow: explain_row,
    MakeValueTable: make_value_table,
    Score: score_run,
    RecommendToUser: recommend_to_user,
    ExplainRecommendation: explain_recommendation,
    MakeReport: make_report,
}
"""Which function answers which request."""


def perform(request: Any, services: Services, control: JobControl) -> Any:
    """Answer one request."""
    return HANDLERS[type(request)](request, services, control)


__all__ = ["HANDLERS", "JobControl", "Services", "perform"]
