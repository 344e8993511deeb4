"""What the application does: one function a command, the same for the window, the command line and the worker."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..commands import (
    ChangePlugin,
    CountRows,
    EstimateQuery,
    EstimateTraining,
    ExplainRecommendation,
    ExplainRow,
    ExportModel,
    InspectPlugin,
    InstallPlugin,
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
from .elsewhere import perform_in_place
from .estimate import estimate_training
from .explain import explain_row, make_value_table
from .export import export_model
from .next_item_ask import explain_recommendation, recommend_to_user
from .plugins import change_plugin, inspect_plugin, install_plugin
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
    ExportModel: export_model,
    RecommendToUser: recommend_to_user,
    ExplainRecommendation: explain_recommendation,
    MakeReport: make_report,
    InspectPlugin: inspect_plugin,
    InstallPlugin: install_plugin,
    ChangePlugin: change_plugin,
}
"""Which function answers which request."""


def perform(request: Any, services: Services, control: JobControl) -> Any:
    """Answer one request, in a worker of the plugin whose model it is about where that is a stranger's."""
    return perform_in_place(request, services, control, HANDLERS[type(request)])


__all__ = ["HANDLERS", "JobControl", "Services", "perform"]
