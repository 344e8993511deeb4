from collections.abc import Iterator
from pathlib import Path

import pytest

from db.sources import SqlSource

from .helpers import SHOP, make_database, opened


@pytest.fixture
def shop_path(tmp_path: Path) -> Path:
    return make_database(tmp_path / "shop.db", SHOP)


@pytest.fixture
def shop(shop_path: Path) -> Iterator[SqlSource]:
    with opened(shop_path) as source:
        yield source
