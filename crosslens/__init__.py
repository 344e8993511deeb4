"""Crosslens for plugin authors: values, protocols, hooks, errors. Nothing here imports the app.

from crosslens import ModelSpec, hookimpl, parameter
"""

from .data import MISSING_ID, RESERVED_IDS, UNKNOWN_ID, EncodedDataset, EncodedField, EncodedSchema, TrainingData
from .errors import (
    CrosslensError,
    DataError,
    InternalError,
    ParameterError,
    PluginError,
    ProjectError,
    QueryError,
    RecipeError,
    SourceError,
    Stopped,
    StorageError,
    UserError,
)
from .explanations import (
    Contributions,
    Explanation,
    ExplanationKind,
    FieldImportance,
    InteractionTerm,
    InteractionTerms,
    PairInteractions,
)
from .hooks import API_VERSION, hookimpl, hookspec
from .models import (
    Checkpoints,
    Estimator,
    ExplainContext,
    FitContext,
    FitProgress,
    FittedModel,
    ModelSpec,
    NoCheckpoints,
    Predictions,
    Task,
)
from .parameters import (
    ParameterInfo,
    describe_parameters,
    parameter,
    parameters_from_plain,
    parameters_to_plain,
)
from .schema import Field, FieldKind, FieldRole, FieldSchema

__version__ = "0.1.0"

__all__ = [
    "API_VERSION",
    "MISSING_ID",
    "RESERVED_IDS",
    "UNKNOWN_ID",
    "Checkpoints",
    "Contributions",
    "CrosslensError",
    "DataError",
    "EncodedDataset",
    "EncodedField",
    "EncodedSchema",
    "Estimator",
    "ExplainContext",
    "Explanation",
    "ExplanationKind",
    "Field",
    "FieldImportance",
    "FieldKind",
    "FieldRole",
    "FieldSchema",
    "FitContext",
    "FitProgress",
    "FittedModel",
    "InteractionTerm",
    "InteractionTerms",
    "InternalError",
    "ModelSpec",
    "NoCheckpoints",
    "PairInteractions",
    "ParameterError",
    "ParameterInfo",
    "PluginError",
    "Predictions",
    "ProjectError",
    "QueryError",
    "RecipeError",
    "SourceError",
    "Stopped",
    "StorageError",
    "Task",
    "TrainingData",
    "UserError",
    "describe_parameters",
    "hookimpl",
    "hookspec",
    "parameter",
    "parameters_from_plain",
    "parameters_to_plain",
]
