"""Tests that plugin authors inherit; the rows they run on; and a scan for pickle.

    from crosslens.testing import ModelContract
    from my_plugin import SPEC

    class TestMyModel(ModelContract):
        spec = SPEC

Needs pytest, which Crosslens itself does not install.
"""

try:
    import pytest
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        "crosslens.testing needs pytest, which is not installed. Run: pip install pytest", name="pytest"
    ) from error

# Before the import below, so that a failed promise shows the values that broke it.
pytest.register_assert_rewrite(
    *(f"crosslens.testing.{name}" for name in ("contract", "funnel", "next_item", "spec", "text_encoder"))
)

from .contract import ModelContract  # noqa: E402
from .funnel import FunnelContract, main_effects_funnel, with_conversions  # noqa: E402
from .next_item import NextItemContract  # noqa: E402
from .rows import (  # noqa: E402
    all_missing_column,
    frozen,
    heavier_positives,
    main_effects,
    make_dataset,
    many_categories,
    one_class,
    training_data,
    unseen_ids,
    xor,
)
from .saved_files import pickled_files  # noqa: E402
from .sequences import (  # noqa: E402
    leave_last_out,
    planted_encoders,
    planted_sequences,
    planted_training,
    sequences,
    small_catalogue,
)
from .shop import TinyShop, write_tiny_shop  # noqa: E402
from .text_encoder import TextEncoderContract  # noqa: E402

__all__ = [
    "FunnelContract",
    "ModelContract",
    "NextItemContract",
    "TextEncoderContract",
    "TinyShop",
    "all_missing_column",
    "frozen",
    "heavier_positives",
    "leave_last_out",
    "main_effects",
    "main_effects_funnel",
    "make_dataset",
    "many_categories",
    "one_class",
    "pickled_files",
    "planted_encoders",
    "planted_sequences",
    "planted_training",
    "sequences",
    "small_catalogue",
    "training_data",
    "unseen_ids",
    "with_conversions",
    "write_tiny_shop",
    "xor",
]
