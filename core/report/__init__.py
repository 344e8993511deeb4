"""The report: built once as a document, rendered as HTML here and as PDF by the desktop room."""

from .document import Block, Callout, Code, Heading, Paragraph, PictureBlock, ReportDocument
from .drawing import svg
from .palette import DARK, LIGHT, Palette

__all__ = [
    "DARK",
    "LIGHT",
    "Block",
    "Callout",
    "Code",
    "Heading",
    "Palette",
    "Paragraph",
    "PictureBlock",
    "ReportDocument",
    "svg",
]
