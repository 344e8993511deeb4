"""Widgets that paint `core.display` pictures. `PictureView(picture)` shows any of them."""

from .table import TableView
from .view import PictureView

__all__ = ["PictureView", "TableView"]
