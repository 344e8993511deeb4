"""AutoInt out of FuxiCTR's embeddings, attention and training step, fed by a torch DataLoader of tensors.

The package on PyPI holds layers and the training loop, but not the model itself: it is composed here as in the paper,
with the width of a head given by itself.
"""

from __future__ import annotations

import tempfile
from collections import OrderedDict

import numpy as np
import torch
from fuxictr.features import FeatureMap
from fuxictr.pytorch.layers import FeatureEmbedding, MLP_Block, ScaledDotProductAttention
from fuxictr.pytorch.models import BaseModel
from protocol import Rows, big, read_arguments, serve
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


class Attention(nn.Module):
    """One layer of multi-head attention over fields with a residual map and ReLU."""

    def __init__(self, width: int, heads: int, head: int) -> None:
        super().__init__()
        self.heads, self.head = heads, head
        self.query, self.key, self.value = (nn.Linear(width, heads * head, bias=False) for _ in range(3))
        self.residual = nn.Linear(width, heads * head, bias=False)
        self.attention = ScaledDotProductAttention()

    def forward(self, e: torch.Tensor) -> torch.Tensor:
        parts = [self._split(layer(e)) for layer in (self.query, self.key, self.value)]
        mixed, _ = self.attention(*parts)
        return (mixed.transpose(1, 2).flatten(2) + self.residual(e)).relu()

    def _split(self, x: torch.Tensor) -> torch.Tensor:
        return x.view(x.shape[0], -1, self.heads, self.head).transpose(1, 2)


class AutoInt(BaseModel):
    """Attention layers on the embeddings of FuxiCTR, and an MLP beside them if it has layers."""

    def __init__(self, features: FeatureMap, settings: dict, root: str) -> None:
        super().__init__(features, model_root=root, metrics=["AUC"], verbose=0, embedding_regularizer=settings["l2"])
        width, heads, head = settings["embedding"], settings["heads"], settings["head"]
        self.embedding = FeatureEmbedding(features, width)
        widths = [width] + [heads * head] * settings["attention_layers"]
        self.attention = nn.Sequential(*(Attention(size, heads, head) for size in widths[:-1]))
        fields = len(features.features)
        self.out = nn.Linear(fields * widths[-1], 1)
        layers = list(settings["layers"])
        self.mlp = MLP_Block(input_dim=fields * width, hidden_units=layers, output_dim=1) if layers else None
        self.compile("adam", "binary_crossentropy", settings["rate"])
        self.reset_parameters()

    def forward(self, inputs: dict) -> dict:
        embedded = self.embedding(self.get_inputs(inputs))
        logit = self.out(self.attention(embedded).flatten(1))
        if self.mlp is not None:
            logit = logit + self.mlp(embedded.flatten(1))
        return {"y_pred": self.output_activation(logit)}


def main() -> None:
    """Build the model and take turns."""
    parts, sizes, settings = read_arguments()
    train = parts["train"]
    torch.set_num_threads(settings["threads"])
    torch.manual_seed(settings["seed"])
    names = [f"c{place}" for place in range(len(sizes))] + [f"v{place}" for place in range(train.values.shape[1])]
    with tempfile.TemporaryDirectory() as root:
        model = AutoInt(_features(sizes, names, root), settings, root)
        model._max_gradient_norm = 10.0
        loader = DataLoader(
            TensorDataset(_table(train.ids, train.values), torch.from_numpy(train.labels["click"].copy())),
            batch_size=settings["batch"], shuffle=True,
        )  # fmt: skip

        def epoch() -> int:
            model.train()
            for table, label in loader:
                model.train_step(_batch(table, names) | {"click": label})
            return len(train)

        def score(rows: Rows, large: bool) -> dict[str, np.ndarray]:
            ids, values = rows.ids, rows.values
            table = _table(big(ids, settings), big(values, settings)) if large else _table(ids, values)
            model.eval()
            with torch.no_grad():
                parts = [model(_batch(part, names))["y_pred"] for part in table.split(settings["score_batch"])]
            return {"click": torch.cat(parts).squeeze(1).numpy()}

        serve(epoch, score, parts)


def _features(sizes: np.ndarray, names: list[str], root: str) -> FeatureMap:
    features = FeatureMap("benchmark", root)
    features.features = OrderedDict(
        (name, {"source": "", "type": "categorical", "vocab_size": int(size), "padding_idx": None})
        for name, size in zip(names, sizes, strict=False)
    )
    for name in names[len(sizes) :]:
        features.features[name] = {"source": "", "type": "numeric"}
    features.labels = ["click"]
    features.num_fields = len(names)
    return features


def _table(ids: np.ndarray, values: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.concatenate((ids, np.nan_to_num(values)), axis=1).astype(np.float64))


def _batch(table: torch.Tensor, names: list[str]) -> dict[str, torch.Tensor]:
    return {name: table[:, place] for place, name in enumerate(names)}


if __name__ == "__main__":
    main()
