"""The built-in sample: a synthetic shop whose truth is known."""

from __future__ import annotations

from crosslens.errors import StorageError

from ..commands import MakeSample, Phase, SampleMade
from ..recipe_toml import recipe_to_toml
from ..sample import generate_shop, shop_recipe
from ..services import JobControl, Services


def make_sample(request: MakeSample, services: Services, control: JobControl) -> SampleMade:
    """Write the shop database, the truth beside it (which no job ever reads), and return a recipe for it."""
    path = request.path.absolute()
    if path.exists():
        raise StorageError(
            f"{path} already exists.",
            why="The sample never replaces a file.",
            do="Choose another name, or delete the file first.",
        )
    control.say(Phase.READING, f"Making up {request.rows:,} impressions")
    shop = generate_shop(rows=request.rows, seed=request.seed, preset=request.preset)
    control.check()
    control.say(Phase.WRITING, f"Writing {path.name}")
    services.sources.write_new(path, shop.infos, shop.tables)
    truth = shop.write_truth(path)
    return SampleMade(path, truth, recipe_to_toml(shop_recipe(path)))
