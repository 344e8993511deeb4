"""The report on paper: nothing lost, headings with their text, tables with their heads, figures as vectors."""

from __future__ import annotations

import re
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.display import Align, HeatMap, LineChart, Series, Table, TableColumn
from core.report.document import Callout, Code, Heading, Paragraph, PictureBlock, ReportDocument
from crosslens.errors import StorageError
from ui.desktop.paper import typeset
from ui.desktop.paper.blocks import document_pieces
from ui.desktop.paper.flow import Piece, paginate
from ui.desktop.paper.pages import content_height, content_width
from ui.desktop.paper.tables import column_widths
from ui.desktop.paper.type import BODY, POINT, TextLines
from ui.desktop.pdf import pdf_bytes, write_pdf

SVG = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 400 300"><path d="M0 0L9 9" stroke="red"/></svg>'
CHART = LineChart("ROC", "x", "y", (Series("a", (0.0, 1.0), (0.0, 1.0)),))
HEAT = HeatMap("Pairs", ("a", "b"), ("a", "b"), ((None, 0.5), (0.5, None)), "logit")


def _nothing(painter: Any, x: float, y: float) -> None:
    return None


def _piece(height: float = 10.0, **more: Any) -> Piece:
    return Piece(height, lambda painter, x, y: None, **more)


def _svg(picture: Any, width: float) -> str:
    return SVG


def _table(rows: int) -> Table:
    columns = (TableColumn("Fields"), TableColumn("Effect", Align.RIGHT, 3))
    return Table("Evidence", columns, tuple((f"field_{row} × other", row / 7) for row in range(rows)))


def _document(*blocks: Any) -> ReportDocument:
    return ReportDocument("What drives clicks", "shop.db", blocks)


pieces = st.lists(
    st.builds(
        Piece,
        height=st.floats(1, 60),
        draw=st.just(_nothing),
        space=st.floats(0, 20),
        keep=st.booleans(),
    ),
    max_size=40,
)


@given(pieces)
@settings(max_examples=30)
def test_no_piece_is_lost_or_leaves_its_page(given_pieces: list[Piece]) -> None:
    pages = paginate(given_pieces, 100.0)
    placed = [each for page in pages for each in page]
    assert [each.piece for each in placed] == given_pieces
    assert all(each.top + each.piece.height <= 100.0 + 1e-9 for each in placed)


def test_a_heading_goes_to_the_next_page_with_its_text() -> None:
    heading = _piece(keep=True)
    pages = paginate([*[_piece()] * 9, heading, _piece()], 100.0)
    assert pages[1][0].piece is heading


def test_the_heads_of_a_table_return_on_every_page() -> None:
    head = _piece()
    pages = paginate([head, *[_piece(head=head)] * 20], 50.0)
    assert all(page[0].piece is head for page in pages)
    assert sum(each.piece is not head for page in pages for each in page) == 20


def test_a_group_taller_than_a_page_is_cut_not_lost() -> None:
    assert [len(page) for page in paginate([_piece(keep=True)] * 25, 100.0)] == [10, 10, 5]


def test_space_above_is_dropped_at_the_top_of_a_page() -> None:
    pages = paginate([_piece(space=30.0), _piece(90.0, space=30.0)], 100.0)
    assert [page[0].top for page in pages] == [0.0, 0.0]


def test_lines_never_exceed_their_width(qapp: Any) -> None:
    lines = TextLines("interaction " * 40 + "a" * 300, BODY, 200 * POINT)
    assert lines.width() <= 200 * POINT + 1
    assert " ".join(line.text for line in lines.lines).count("interaction") == 40


def test_a_narrow_column_keeps_its_words_on_one_line(qapp: Any) -> None:
    long = "a sentence that is much too long for its column " * 4
    table = Table("t", (TableColumn("Fields"), TableColumn("Verdict")), (("segment × category", long),))
    first, second = column_widths(table, 400 * POINT)
    assert TextLines("segment × category", BODY, first).lines[1:] == ()
    assert first + second <= 400 * POINT + 1


def test_short_tables_stay_on_one_page(qapp: Any) -> None:
    blocks = [Paragraph("Text. " * 700), PictureBlock(table=_table(8))]
    found = paginate(document_pieces(blocks, content_width(), content_height(), _svg), content_height())
    rows = [sum(each.piece.head is not None for each in page) for page in found]
    assert max(rows) == 8


def test_line_charts_stand_side_by_side(qapp: Any) -> None:
    widths: list[float] = []

    def svg(picture: Any, width: float) -> str:
        widths.append(width)
        return SVG

    blocks = [PictureBlock(lines=CHART), PictureBlock(lines=CHART), PictureBlock(heat_map=HEAT)]
    assert len(document_pieces(blocks, content_width(), content_height(), svg)) == 2
    assert widths[0] == widths[1] < widths[2] / 2


def _text(data: bytes) -> int:
    """Return how many show-text operators the pages of a PDF hold."""
    streams = re.findall(rb"stream\r?\n(.*?)endstream", data, re.DOTALL)
    return sum(len(re.findall(rb"\bT[jJ]\b", _inflate(stream))) for stream in streams)


def _inflate(stream: bytes) -> bytes:
    try:
        return zlib.decompress(stream)
    except zlib.error:
        return stream


def test_the_pdf_holds_text_as_text_and_no_bitmaps(qapp: Any) -> None:
    from ui.desktop.exports import svg_text

    blocks = (Heading("Quality"), Paragraph("Words. " * 50), PictureBlock(heat_map=HEAT), Code("SELECT 1", "SQL"))
    data = pdf_bytes("Title", typeset(_document(*blocks, Callout("Real.", "good")), svg_text))
    assert data.startswith(b"%PDF-1.")
    assert b"/Subtype /Image" not in data
    assert _text(data) > 10


def test_every_page_of_the_layout_is_a_page_of_the_pdf(qapp: Any) -> None:
    pages = typeset(_document(Heading("Rows"), PictureBlock(table=_table(150))), _svg)
    data = pdf_bytes("Title", pages)
    assert len(pages) > 3
    assert len(re.findall(rb"/Type /Page\b", data)) == len(pages)


def test_an_empty_report_is_one_page(qapp: Any, tmp_path: Path) -> None:
    write_pdf(_document(), tmp_path / "report.pdf")
    data = (tmp_path / "report.pdf").read_bytes()
    assert len(re.findall(rb"/Type /Page\b", data)) == 1


def test_a_folder_that_is_not_there_is_a_storage_error(qapp: Any) -> None:
    with pytest.raises(StorageError):
        write_pdf(_document(), Path("/proc/nowhere/report.pdf"))


def test_a_broken_picture_is_our_fault_and_loud(qapp: Any) -> None:
    with pytest.raises(ValueError, match="not an SVG"):
        typeset(_document(PictureBlock(heat_map=HEAT)), lambda picture, width: "<nothing/>")


def test_a_process_without_window_or_display_writes_the_pdf(tmp_path: Path) -> None:
    code = (
        "from pathlib import Path; from ui.desktop.pdf import write_pdf; from core.report.document import *;"
        "write_pdf(ReportDocument('Title', 'today', (Paragraph('Text'),)), Path('report.pdf').absolute())"
    )
    root = Path(__file__).parents[2]
    environment = {"PYTHONPATH": f"{root}:{':'.join(path for path in sys.path if path)}", "HOME": str(tmp_path)}
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, check=True, capture_output=True)
    assert (tmp_path / "report.pdf").read_bytes().startswith(b"%PDF")
