"""AutoInt and ESMM of DeepCTR-Torch, trained by its own `fit`, one epoch a turn."""

from __future__ import annotations

import numpy as np
import torch
from deepctr_torch.inputs import DenseFeat, SparseFeat
from deepctr_torch.models import ESMM, AutoInt
from protocol import Rows, big, read_arguments, serve


def main() -> None:
    """Build the model the settings name, and take turns."""
    parts, sizes, settings = read_arguments()
    train = parts["train"]
    torch.set_num_threads(settings["threads"])
    width = settings["embedding"]
    columns = [SparseFeat(f"c{place}", int(size), embedding_dim=width) for place, size in enumerate(sizes)]
    columns += [DenseFeat(f"v{place}", 1) for place in range(train.values.shape[1])]
    shared = {"l2_reg_embedding": settings["l2"], "seed": settings["seed"], "init_std": settings["spread"]}
    if settings["model"] == "esmm":
        model = ESMM(columns, tower_dnn_hidden_units=tuple(settings["layers"]), **shared)
        outputs, losses = ("click", "click_and_conversion"), ["binary_crossentropy"] * 2
        target = np.stack((train.labels["click"], train.labels["click"] * train.labels["conversion"]), axis=1)
    else:
        model = AutoInt(
            columns, columns, att_layer_num=settings["attention_layers"], att_head_num=settings["heads"],
            dnn_hidden_units=tuple(settings["layers"]), **shared,
        )  # fmt: skip
        outputs, losses, target = ("click",), "binary_crossentropy", train.labels["click"][:, None]
    model.compile(torch.optim.Adam(model.parameters(), lr=settings["rate"]), losses)
    inputs = _inputs(train)

    def epoch() -> int:
        model.fit(list(inputs), target, batch_size=settings["batch"], epochs=1, verbose=0)
        return len(train)

    def score(rows: Rows, large: bool) -> dict[str, np.ndarray]:
        asked = _big(rows, settings) if large else _inputs(rows)
        found = model.predict(asked, batch_size=settings["score_batch"])
        return {name: found[:, place] for place, name in enumerate(outputs)}

    serve(epoch, score, parts)


def _inputs(rows: Rows) -> list[np.ndarray]:
    return [*np.asarray(rows.ids).T, *np.nan_to_num(rows.values).T]


def _big(rows: Rows, settings: dict[str, int]) -> list[np.ndarray]:
    return [*big(rows.ids, settings).T, *np.nan_to_num(big(rows.values, settings)).T]


if __name__ == "__main__":
    main()
