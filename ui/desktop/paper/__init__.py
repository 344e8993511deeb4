"""The report on paper: blocks become pieces, pieces become pages, and pages are painted into a PDF or the preview."""

from .pages import PaperPages, typeset

__all__ = ["PaperPages", "typeset"]
