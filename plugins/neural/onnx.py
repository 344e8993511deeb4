"""A trained network as an ONNX file: the same numbers, without Crosslens and without torch.

torch.export writes down the operations that a call makes, whatever it decides on the way. So the graph is taken from
`Network.plain_logits`, which decides nothing, with a number of rows that stays open.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor, nn

from crosslens import DataError, EncodedSchema, PluginError

from .network import Network

MOST_BYTES = 1_900_000_000
"""Weights of one file: what its format can count is little more."""
_EXAMPLE_ROWS = 3
"""More than one, because torch takes 0 and 1 rows for special cases."""


class GraphForm(nn.Module):
    """ids (N, C) and values (N, M) to as many logits (N,) as the model has outputs."""

    def __init__(self, network: Network, outputs: Callable[[Tensor], Sequence[Tensor]]) -> None:
        super().__init__()
        self.network = network
        self.outputs = outputs

    def forward(self, ids: Tensor, values: Tensor) -> tuple[Tensor, ...]:
        """Return the logits of every output, each (N,)."""
        return tuple(self.outputs(self.network.plain_logits(*self.network.embeddings(ids, values))))


def write_onnx(
    form: nn.Module, schema: EncodedSchema, outputs: Sequence[str], path: Path, metadata: Mapping[str, str]
) -> None:
    """Write a module of ids and values as ONNX; PluginError without the library, DataError for too many weights."""
    size = sum(tensor.numel() * tensor.element_size() for tensor in form.state_dict().values())
    if size > MOST_BYTES:
        raise DataError(
            f"The model's weights of {size / 1e9:.1f} GB do not fit into an ONNX file.",
            why=f"Its format holds {MOST_BYTES / 1e9:.1f} GB.",
            do="Export the model as a folder.",
        )
    ids = torch.zeros((_EXAMPLE_ROWS, len(schema.categorical)), dtype=torch.int64)
    values = torch.zeros((_EXAMPLE_ROWS, len(schema.numerical)))
    rows = {0: torch.export.Dim("rows", min=0)}
    with _quietly(), torch.no_grad():
        program = torch.onnx.export(
            form.eval().cpu(),
            (ids, values),
            dynamo=True,
            input_names=["ids", "values"],
            output_names=list(outputs),
            dynamic_shapes={"ids": rows, "values": rows},
            verbose=False,
        )
    assert program is not None, "torch returns a program when no file is asked for"
    program.model.metadata_props.update(metadata)
    program.save(path)


@contextmanager
def _quietly() -> Iterator[None]:
    """Keep what the exporter tells its own developers to itself, and say what is missing."""
    logger = logging.getLogger("torch.onnx")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except ImportError as error:
        raise PluginError(
            "ONNX files need a library that is not installed.",
            why=f"Python says: {error}.",
            do='Install it with pip install "crosslens[onnx]", or export the model as a folder.',
        ) from error
    finally:
        logger.setLevel(before)
