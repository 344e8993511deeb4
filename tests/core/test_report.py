from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from core.commands import Finding
from core.evidence import Faithfulness, prove_interactions
from core.metrics import evaluate
from core.quality import Curve
from core.recipe import ModelChoice, Recipe
from core.recipe_toml import recipe_from_toml, recipe_to_toml
from core.report import DARK, LIGHT, Callout, Code, Heading, Paragraph, PictureBlock, ReportDocument
from core.report.build import SECTIONS, ReportInputs, RunInputs, build_report
from core.report.html import render_html
from core.report.inputs import ScoredRows, compared
from core.run_folder import RunFacts
from crosslens import (
    DataError,
    Field,
    FieldImportance,
    FieldKind,
    FieldRole,
    FieldSchema,
    FitProgress,
    InteractionTerm,
    InteractionTerms,
    InternalError,
    ParameterError,
)
from crosslens.plain import from_plain, to_plain
from crosslens.relational import ColumnRef, ConnectionSpec, QuerySpec, Snapshot, TableRef
from crosslens.runs import RunRecord, RunStatus

from .analytic import additive, interacting, labelled, rows

NASTY = "</script><script>alert('x')</script>"
DATA = labelled(rows(3000), interacting)
COLUMNS = tuple(ColumnRef("t", name) for name in (*DATA.schema.names, "click"))


def _recipe(model: str) -> str:
    roles = [FieldRole.FEATURE] * 4 + [FieldRole.CLICK]
    fields = tuple(
        Field(column, column.column, FieldKind.CATEGORICAL, role) for column, role in zip(COLUMNS, roles, strict=True)
    )
    query = QuerySpec(TableRef("t"), COLUMNS)
    return recipe_to_toml(
        Recipe(ConnectionSpec("sqlite", "shop.db"), query, FieldSchema(fields), models=(ModelChoice(model),))
    )


def _run(title: str, model: Callable = interacting, *, fingerprint: str = "f1", noise: float = 0.0) -> RunInputs:
    logits = model(DATA) + noise * np.random.default_rng(0).normal(size=len(DATA))
    evidence, effects = prove_interactions(model, DATA, rows=500, background=2)
    quality = evaluate(DATA.target, logits)
    snapshot = Snapshot(Path("s.arrow"), COLUMNS, 9000, fingerprint, "k", "SELECT 1 < 2", "shop.db")
    facts = RunFacts(
        model="m", model_title=title, model_version="1", snapshot=snapshot, encoded="e", rows_train=5000,
        rows_validation=1000, rows_test=3000, fields=DATA.schema.names, label="click", versions={"numpy": "2"},
        threads=1, seconds={"training": 12.0}, findings=(Finding("warn", "A column is nearly constant."),),
    )  # fmt: skip
    record = RunRecord(
        f"run-{title}",
        "m",
        title,
        RunStatus.FINISHED,
        datetime(2026, 1, 2, tzinfo=UTC),
        "",
        data_fingerprint=fingerprint,
    )
    test = ScoredRows(np.arange(len(DATA)), DATA.target.astype(float), 1 / (1 + np.exp(-logits)))
    return RunInputs(
        record, facts, _recipe("m"), quality, quality, evidence=evidence, effects=effects, test=test,
        history=tuple(FitProgress(e, 2, 1, 1, loss=0.5, metrics={"loss": 0.5 / e}, best_epoch=2) for e in (1, 2)),
    )  # fmt: skip


RUN = _run("ARM-Net")
OTHER = _run("LightGBM", noise=0.1)
LINEAR = _run("Logistic regression", additive)


def _inputs(*runs: RunInputs, **more) -> ReportInputs:
    return ReportInputs("What drives clicks", datetime(2026, 1, 2, 3, 4, tzinfo=UTC), runs, **more)


def _texts(document: ReportDocument) -> str:
    return "\n".join(block.text for block in document.blocks if not isinstance(block, PictureBlock))


def _pictures(document: ReportDocument, kind: str) -> list:
    blocks = [block for block in document.blocks if isinstance(block, PictureBlock)]
    return [getattr(block, kind) for block in blocks if getattr(block, kind) is not None]


def test_the_summary_names_drivers_true_pairs_and_the_better_model():
    text = _texts(build_report(_inputs(LINEAR, RUN, sections=("summary",))))
    assert "What drives clicks most, by ARM-Net: c0" in text
    assert "Fields that really act together: c0 × c1 (effect 0.8" in text
    assert "On the test rows it has a higher AUC than Logistic regression (+0." in text


def test_the_summary_says_when_models_do_not_differ_and_agree_on_the_pair():
    text = _texts(build_report(_inputs(RUN, OTHER, sections=("summary",))))
    assert "LightGBM finds it too" in text
    same = _texts(build_report(_inputs(RUN, _run("Twin"), sections=("summary",))))
    assert "no real difference in AUC from Twin (0.000 [0.000, 0.000])" in same


def test_a_model_without_interactions_is_said_to_have_none():
    document = build_report(_inputs(LINEAR))
    assert "None of the 6 pairs of fields has an interaction that held-out rows support" in _texts(document)
    assert "combines no fields" in _texts(document)
    assert _pictures(document, "heat_map") == []


def test_the_report_has_all_sections_in_order_or_the_chosen_ones():
    headings = [
        block.text for block in build_report(_inputs(RUN)).blocks if isinstance(block, Heading) and block.level == 1
    ]
    assert len(headings) == len(SECTIONS) - 1  # clicks alone are no funnel
    chosen = build_report(_inputs(RUN, sections=("quality", "summary")))
    assert [b.text for b in chosen.blocks if isinstance(b, Heading)] == ["In short", "How good are the predictions?"]


def test_an_unknown_section_is_a_sentence_for_the_user():
    with pytest.raises(ParameterError, match="no section 'poetry'"):
        build_report(_inputs(RUN, sections=("poetry",)))


def test_provenance_holds_all_that_repeats_the_run():
    document = build_report(_inputs(RUN, sections=("provenance",)))
    facts = dict(_pictures(document, "table")[0].rows)
    assert facts["Data fingerprint"] == "f1" and facts["Seed"] == "0" and facts["Versions"] == "numpy 2"
    assert facts["Best epoch"] == "2 of 2" and "seed 0" in facts["Split"]
    assert [block.text for block in document.blocks if isinstance(block, Code)] == [RUN.recipe]


def test_runs_that_differ_in_their_model_alone_share_one_recipe():
    other = replace(OTHER, recipe=RUN.recipe.replace('id = "m"', 'id = "n"'))
    reseeded = replace(LINEAR, recipe=RUN.recipe.replace("seed = 0", "seed = 9", 1))
    document = build_report(_inputs(RUN, other, reseeded, sections=("provenance",)))
    codes = [block for block in document.blocks if isinstance(block, Code)]
    assert [len(recipe_from_toml(code.text).models) for code in codes] == [2, 1]
    assert recipe_from_toml(codes[1].text).seed == 9 and "Logistic regression" in codes[1].caption


def test_the_query_findings_and_quality_warnings_are_shown():
    text = _texts(build_report(_inputs(replace(RUN, quality=replace(RUN.quality, warnings=("Too few.",))))))
    assert "SELECT 1 < 2" in text and "A column is nearly constant." in text and "ARM-Net: Too few." in text


def test_published_quantities_stand_apart_from_what_was_measured():
    importance = FieldImportance(("c0", "c1"), np.array([1.0, 2.0]), "sum of |v|", "more is more", 10)
    terms = InteractionTerms((InteractionTerm(("c0", "c1"), 0.5, 0.1),), "gates", "", 10)
    document = build_report(_inputs(replace(RUN, importance=importance, terms=terms), sections=("why",)))
    titles = [block.text for block in document.blocks if isinstance(block, Heading)]
    assert titles.index("Measured at the output") < titles.index("What the models say of themselves")
    assert _pictures(document, "table")[-1].rows == ((1, "c0 × c1", 2, 0.5, 0.1),)


def test_unfaithful_contributions_are_a_warning():
    curve = Curve((0.0, 1.0), (0.0, 1.0))
    run = replace(RUN, faithfulness=Faithfulness(0.0, -0.1, 0.1, curve, curve, curve, curve, 9))
    warned = [b.text for b in build_report(_inputs(run)).blocks if isinstance(b, Callout) and b.tone == "warn"]
    assert any("do not rely" in text for text in warned)


def test_runs_on_other_rows_are_never_compared():
    strange = _run("LightGBM", fingerprint="f2")
    assert compared({"a": RUN, "b": strange}) == []
    assert "must not be compared" in _texts(build_report(_inputs(RUN, strange)))


def test_comparisons_are_paired_on_log_loss_and_auc():
    found = compared({"a": RUN, "b": LINEAR})
    assert [(first, second, result.metric) for first, second, result in found] == [
        ("a", "b", "auc"), ("a", "b", "log_loss")
    ]  # fmt: skip
    assert found[0][2].low > 0 > found[1][2].high


def test_two_runs_of_one_model_are_told_apart():
    assert list(_inputs(RUN, LINEAR, RUN).named_runs()) == ["ARM-Net (1)", "Logistic regression", "ARM-Net (2)"]


def test_a_run_without_explanations_or_ranking_still_has_a_report():
    quality = evaluate([0, 0, 0], [0.0, 1.0, 2.0])
    bare = replace(RUN, quality=quality, validation=None, evidence=None, effects=(), test=None, history=())
    html = render_html(build_report(_inputs(bare)))
    assert "Interactions were not measured" in html and "ranking cannot be measured" in html


def test_a_document_survives_the_way_through_json():
    document = build_report(_inputs(RUN, OTHER))
    assert from_plain(ReportDocument, to_plain(document)) == document
    with pytest.raises(DataError):
        from_plain(ReportDocument, {"title": 1})


_VOID = {"meta", "br", "hr", "link", "img"}


class _Tags(HTMLParser):
    """Collects tags and attributes, and checks that they are closed in order."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict]] = []
        self.open: list[str] = []

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in _VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        if tag not in _VOID:
            assert self.open.pop() == tag, tag


def _tags(html: str) -> _Tags:
    parser = _Tags()
    parser.feed(html)
    parser.close()
    return parser


def test_the_page_is_whole_and_fetches_nothing():
    html = render_html(build_report(_inputs(RUN, OTHER, LINEAR)))
    parsed = _tags(html)
    assert parsed.open == []
    assert not any(tag in ("script", "link", "iframe", "img") for tag, _ in parsed.tags)
    assert not any({"src", "srcset", "onload", "onclick"} & set(attributes) for _, attributes in parsed.tags)
    assert not re.search(r"https?://|@import|url\(", html)
    assert [found["href"] for tag, found in parsed.tags if tag == "a"] == [f"#section-{n}" for n in range(1, 7)]


def test_the_page_knows_light_dark_and_paper():
    html = render_html(build_report(_inputs(RUN)))
    assert "prefers-color-scheme: dark" in html and "@media print" in html
    assert f"--background: {DARK.background};" in html and f"--background: {LIGHT.background};" in html
    drawings = html.split("<svg ")[1:]
    assert len(drawings) > 5 and all("var(--" in each and LIGHT.text not in each for each in drawings)


def test_every_drawing_has_a_name_and_its_own_id():
    found = [attributes for tag, attributes in _tags(render_html(build_report(_inputs(RUN)))).tags if tag == "svg"]
    assert len(found) >= 6 and len({each["id"] for each in found}) == len(found)
    assert all(each["aria-label"] for each in found)


def test_texts_from_outside_are_never_markup():
    facts = replace(RUN.facts, model_title=NASTY, label=NASTY, fields=(NASTY,))
    effects = tuple(replace(effect, field=NASTY) for effect in RUN.effects)
    html = render_html(
        build_report(replace(_inputs(replace(RUN, facts=facts, effects=effects), notes=NASTY), title=NASTY))
    )
    assert "<script" not in html.lower() and "alert(" in html
    assert _tags(html).open == []


def test_a_page_of_plain_blocks_is_set_as_expected():
    blocks = (
        Heading("A & B"),
        Heading("Sub", 2),
        Paragraph("x < y"),
        Callout("careful", "warn"),
        Code("SELECT", "SQL"),
    )
    html = render_html(ReportDocument("T", "S", blocks))
    assert '<h2 id="section-1">A &amp; B</h2>' in html and "<h3>Sub</h3>" in html and "<p>x &lt; y</p>" in html
    assert '<p class="callout tone-warn" role="note">careful</p>' in html and "<figcaption>SQL</figcaption>" in html


def test_a_block_with_no_picture_is_our_mistake():
    with pytest.raises(InternalError):
        render_html(ReportDocument("T", "S", (PictureBlock(),)))
