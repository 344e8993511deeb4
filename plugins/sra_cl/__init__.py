"""SASRec with cross-entropy, and SRA-CL: semantic retrieval augmented contrastive learning (Cui et al., NeurIPS 2025).

SASRec reads a user's items with self-attention and ranks all items as the next one; SRA-CL trains the same network with
two more losses that pull together users and histories which are alike in meaning. This module holds the descriptions
only; torch is imported when a model is built or loaded. The equations stand in `module`, `softmax` and `contrast`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from crosslens import FieldRole, ModelSpec, NextItemEstimator, NextItemModel, ParameterError, Task, hookimpl, parameter

SASREC = "sasrec-ce"
SRA_CL = "sra-cl"


@dataclass(frozen=True, slots=True)
class SasRecParameters:
    """Parameters of the SASRec encoder and of its training."""

    length: int = parameter(
        20,
        search=(10, 20, 50),
        label="History length",
        help="How many of a user's latest items are read.",
        minimum=1,
        maximum=1000,
    )
    width: int = parameter(
        64,
        search=(32, 64, 128),
        label="Width",
        help="Numbers that describe an item.",
        minimum=2,
        maximum=1024,
        logarithmic=True,
    )
    layers: int = parameter(
        2, search=(1, 3), label="Layers", help="Attention layers on top of each other.", minimum=1, maximum=12
    )
    heads: int = parameter(
        2, label="Heads", help="Ways of comparing items in each layer; they divide the width.", minimum=1, maximum=32
    )
    dropout: float = parameter(
        0.4, search=(0.1, 0.6), label="Dropout",
        help="Share of numbers left out at random while training. Higher for small data.",
        minimum=0.0, maximum=0.9, step=0.05,
    )  # fmt: skip
    learning_rate: float = parameter(
        0.003, search=(0.0003, 0.005), label="Learning rate", help="Size of each step. Lower needs more epochs.",
        minimum=1e-6, maximum=1.0, logarithmic=True,
    )  # fmt: skip
    batch_size: int = parameter(
        64,
        search=(64, 512),
        label="Batch size",
        help="Users' sequences per step.",
        minimum=1,
        maximum=100_000,
        logarithmic=True,
    )
    epochs: int = parameter(
        100, label="Epochs at most", help="Training ends sooner when validation stops improving.",
        minimum=1, maximum=10_000,
    )  # fmt: skip
    patience: int = parameter(
        3, label="Patience", help="Epochs without a better validation NDCG@10 before the learning rate falls tenfold.",
        minimum=1, maximum=1000, advanced=True,
    )  # fmt: skip
    sampled_above: int = parameter(
        20_000, label="Sample negatives above", help="With more items than this, each step compares with a sample.",
        minimum=0, maximum=100_000_000, advanced=True, logarithmic=True,
    )  # fmt: skip
    negatives: int = parameter(
        1024, label="Negatives", help="Items each step compares with when it samples.",
        minimum=256, maximum=1_000_000, advanced=True, logarithmic=True,
    )  # fmt: skip
    validation_users: int = parameter(
        5000, label="Validation users at most", help="Users ranked after every epoch.",
        minimum=1, maximum=10_000_000, advanced=True, logarithmic=True,
    )  # fmt: skip

    def __post_init__(self) -> None:
        if self.width % self.heads:
            raise ParameterError(
                f"A width of {self.width} cannot be shared by {self.heads} heads.",
                do="Choose a width that is a multiple of the heads.",
                parameter="heads",
                value=self.heads,
            )


@dataclass(frozen=True, slots=True)
class SraClParameters(SasRecParameters):
    """Parameters of SRA-CL under the paper's names: those of SASRec and of the two contrastive losses."""

    encoder: str = parameter(
        "tfidf-svd",
        search=("tfidf-svd", "collaborative-svd", "hybrid"),
        label="Text encoder",
        help="What says which items are alike.",
        source="text-encoders",
    )
    encoder_folder: str = parameter(
        "", label="Encoder folder", help="Folder of the encoder's model, for encoders that read one.", source="folder"
    )
    encoder_options: str = parameter(
        "", label="Encoder options", help='Other options of the encoder, as JSON: {"width": 128}.', advanced=True
    )
    alpha: float = parameter(
        0.1, search=(0.0, 0.3), label="Alpha: users alike", help="Weight of the loss across users; 0 leaves it out.",
        minimum=0.0, maximum=10.0, step=0.01,
    )  # fmt: skip
    beta: float = parameter(
        0.1, search=(0.0, 0.3), label="Beta: histories alike",
        help="Weight of the loss within a user's history; 0 leaves it out.",
        minimum=0.0, maximum=10.0, step=0.01,
    )  # fmt: skip
    neighbours: int = parameter(
        10,
        search=(5, 30),
        label="Neighbours",
        help="Users and items alike that are looked up for each.",
        minimum=1,
        maximum=1000,
    )
    replaced: float = parameter(
        0.2, label="Replaced items", help="Share of a history replaced by items alike.",
        minimum=0.0, maximum=1.0, step=0.05, advanced=True,
    )  # fmt: skip
    temperature: float = parameter(
        0.2, search=(0.1, 1.0), label="Temperature", help="Lower pushes the closest of the others away harder.",
        minimum=0.01, maximum=10.0, logarithmic=True, advanced=True,
    )  # fmt: skip
    neighbour_states: str = parameter(
        "bank", label="States of users alike", choices=("bank", "exact"), advanced=True,
        help="bank: as of the start of the epoch; exact: read again in every step, many times slower.",
    )  # fmt: skip
    half_life: float = parameter(
        10.0, label="Half-life", help="A user is the mean of items; one so many events older counts half.",
        minimum=0.1, maximum=1e6, logarithmic=True, advanced=True,
    )  # fmt: skip


def build(parameters: SasRecParameters) -> NextItemEstimator:
    """Return an untrained model: SRA-CL for `SraClParameters`, SASRec otherwise."""
    from .estimator import SasRecEstimator

    return SasRecEstimator(parameters)


def load(folder: Path) -> NextItemModel:
    """Return the model that `NextItemModel.save` wrote into `folder`; StorageError if it is not one."""
    from .fitted import SasRecModel

    return SasRecModel.load(folder)


SPECS = (
    ModelSpec(
        id=SASREC,
        title="SASRec (cross-entropy)",
        summary="Reads a user's latest items in their order with self-attention and ranks all items as the next one.",
        task=Task.NEXT_ITEM,
        parameters=SasRecParameters,
        build=build,
        load=load,
        needs=frozenset({FieldRole.USER, FieldRole.ITEM}),
        paper="Kang and McAuley, Self-Attentive Sequential Recommendation, ICDM 2018",
    ),
    ModelSpec(
        id=SRA_CL,
        title="SRA-CL",
        summary="SASRec that also learns from users and items alike in meaning, by their texts.",
        task=Task.NEXT_ITEM,
        parameters=SraClParameters,
        build=build,
        load=load,
        needs=frozenset({FieldRole.USER, FieldRole.ITEM}),
        paper="Cui et al., Semantic Retrieval Augmented Contrastive Learning for Sequential Recommendation, "
        "NeurIPS 2025",
    ),
)


@hookimpl
def crosslens_register_models() -> Sequence[ModelSpec]:
    """Return SASRec and SRA-CL."""
    return SPECS
