"""ARM-Net as written down from the paper (`benchmarks.armnet_reference`), one epoch a turn, in our interpreter."""

from __future__ import annotations

import numpy as np
import torch
from protocol import Rows, big, read_arguments, serve

from benchmarks.armnet_reference import ReferenceArmNet, reference_epoch, reference_logits
from crosslens import EncodedDataset, EncodedField, EncodedSchema, FieldKind


def main() -> None:
    """Build the reference and take turns. Categorical fields only."""
    parts, sizes, settings = read_arguments()
    torch.set_num_threads(settings["threads"])
    torch.manual_seed(settings["seed"])
    schema = EncodedSchema(
        tuple(EncodedField(f"c{place}", FieldKind.CATEGORICAL, int(size)) for place, size in enumerate(sizes)),
        ("click",),
    )
    module = ReferenceArmNet(
        schema.table_size, len(sizes), heads=settings["arm_heads"], neurons=settings["neurons"],
        width=settings["embedding"], alpha=settings["alpha"], layers=settings["layers"], spread=settings["spread"],
    )  # fmt: skip
    optimizer = torch.optim.Adam(module.parameters(), lr=settings["rate"])

    def dataset(ids: np.ndarray, labels: dict[str, np.ndarray]) -> EncodedDataset:
        return EncodedDataset(
            schema, (ids + schema.offsets).astype(np.int32), np.zeros((len(ids), 0), np.float32), labels
        )

    train = dataset(parts["train"].ids, parts["train"].labels)

    def epoch() -> int:
        reference_epoch(module, optimizer, train, settings["batch"], lambda: None)
        return len(train)

    def score(rows: Rows, large: bool) -> dict[str, np.ndarray]:
        ids = big(rows.ids, settings) if large else rows.ids
        return {"click": reference_logits(module, dataset(ids, {}), settings["score_batch"])}

    serve(epoch, score, parts)


if __name__ == "__main__":
    main()
