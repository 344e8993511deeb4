"""How a network is trained, as parameters that every neural model words alike; torch is not imported here.

@dataclass(frozen=True, slots=True)
class Parameters:
    width: int = parameter(16, ...)
    l2: float = recipe.l2(100.0)          defaults are the model's own, names and words are shared
"""

from __future__ import annotations

from typing import Any, Protocol

from crosslens import parameter


class Recipe(Protocol):
    """What the training loop reads from a model's parameters; a dataclass with these fields will do."""

    @property
    def l2(self) -> float:
        """Return the strength of the prior on every vector."""

    @property
    def learning_rate(self) -> float:
        """Return the size of a step."""

    @property
    def batch_size(self) -> int:
        """Return the rows of a step, at most."""

    @property
    def epochs(self) -> int:
        """Return the most epochs."""

    @property
    def patience(self) -> int:
        """Return the epochs without a better one before the learning rate falls."""

    @property
    def field_dropout(self) -> float:
        """Return the share of values hidden."""

    @property
    def gradient_clip(self) -> float:
        """Return the largest length of a step's gradient, 0 for no limit."""

    @property
    def positive_weight(self) -> float:
        """Return what a positive row counts."""

    @property
    def negative_rate(self) -> float:
        """Return the share of negatives an epoch sees."""


def embedding(default: int) -> Any:
    """Return the parameter `embedding`: numbers per value of a field."""
    return parameter(
        default, label="Embedding width", help="Numbers that describe one value of a field.", minimum=2, maximum=256,
        search=(4, 32),
    )  # fmt: skip


def layers(
    default: tuple[int, ...], *, label: str = "Hidden layers", help: str, search: tuple[tuple[int, ...], ...] = ()
) -> Any:
    """Return a parameter for the widths of the layers of a plain network; `search` lists what a search may try."""
    return parameter(default, label=label, help=help, minimum=1, maximum=4096, search=search)


def dropout(default: float) -> Any:
    """Return the parameter `dropout`."""
    return parameter(
        default, label="Dropout", help="Share of hidden units left out at random while training.",
        minimum=0.0, maximum=0.9, step=0.05, search=(0.0, 0.5),
    )  # fmt: skip


def l2(default: float) -> Any:
    """Return the parameter `l2`: strength of the prior on every vector, see `regularise.Prior`."""
    return parameter(
        default, label="Embedding L2",
        help="Holds back the vectors of values with few rows; higher is more cautious.",
        minimum=0.0, maximum=1e6, logarithmic=True, search=(1.0, 10_000.0),
    )  # fmt: skip


def learning_rate(default: float) -> Any:
    """Return the parameter `learning_rate`."""
    return parameter(
        default, label="Learning rate", help="Size of each step. Lower needs more epochs.",
        minimum=1e-6, maximum=1.0, logarithmic=True, search=(0.0003, 0.03),
    )  # fmt: skip


def batch_size(default: int) -> Any:
    """Return the parameter `batch_size`."""
    return parameter(default, label="Batch size", help="Rows per step.", minimum=1, maximum=1_000_000, logarithmic=True)


def epochs(default: int) -> Any:
    """Return the parameter `epochs`."""
    return parameter(
        default, label="Epochs at most", help="Training ends sooner when validation stops improving.",
        minimum=1, maximum=10_000,
    )  # fmt: skip


def patience(default: int) -> Any:
    """Return the parameter `patience`."""
    return parameter(
        default, label="Patience",
        help="Epochs without a better validation log loss before the learning rate falls tenfold.",
        minimum=1, maximum=1000, advanced=True,
    )  # fmt: skip


def field_dropout(default: float) -> Any:
    """Return the parameter `field_dropout`."""
    return parameter(
        default, label="Field dropout", help="Share of values hidden while training, so that missing and unseen values "
        "are known when they come.", minimum=0.0, maximum=0.5, step=0.01, advanced=True,
    )  # fmt: skip


def initial_spread(default: float) -> Any:
    """Return the parameter `initial_spread` of embeddings."""
    return parameter(
        default, label="Initial spread of embeddings", help="Standard deviation before training.",
        minimum=0.0001, maximum=1.0, logarithmic=True, advanced=True,
    )  # fmt: skip


def gradient_clip(default: float) -> Any:
    """Return the parameter `gradient_clip`: largest norm of a step's gradient, 0 for no limit."""
    return parameter(
        default, label="Gradient limit", help="Shortens steps whose gradient is longer than this; 0 sets no limit.",
        minimum=0.0, maximum=1e6, advanced=True,
    )  # fmt: skip


def positive_weight(default: float = 1.0) -> Any:
    """Return the parameter `positive_weight`, see `imbalance`."""
    return parameter(
        default, label="Weight of positives",
        help="How much more a row with the label counts while training. Probabilities stay those of the data.",
        minimum=0.01, maximum=10_000.0, logarithmic=True, advanced=True,
    )  # fmt: skip


def negative_rate(default: float = 1.0) -> Any:
    """Return the parameter `negative_rate`, see `imbalance`."""
    return parameter(
        default, label="Share of negatives",
        help="Share of the rows without the label that each epoch sees, drawn anew; less is faster. Probabilities stay "
        "those of the data.", minimum=0.001, maximum=1.0, logarithmic=True, advanced=True,
    )  # fmt: skip
