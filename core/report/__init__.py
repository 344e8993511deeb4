"""The report: built once as a document, rendered as HTML here and as PDF by the desktop room."""

from .document import Block, Callout, Code, Heading, Paragraph, PictureBlock, ReportDocument

__all__ = ["Block", "Callout", "Code", "Heading", "Paragraph", "PictureBlock", "ReportDocument"]
