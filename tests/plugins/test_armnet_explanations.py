from __future__ import annotations

import numpy as np
import pytest
import torch

from crosslens import (
    Contributions,
    ExplainContext,
    ExplanationKind,
    FieldImportance,
    FitContext,
    InteractionTerms,
    Stopped,
)
from crosslens.testing import main_effects, training_data
from plugins.armnet import ArmNetParameters, ArmNetPlusParameters, build
from plugins.armnet.fitted import ArmNetModel

SMALL = {"heads": 2, "neurons": 4, "embedding": 4, "layers": (16,), "batch_size": 128, "learning_rate": 0.01}
ROWS = main_effects(200, seed=5)
ALL = tuple(ExplanationKind)


@pytest.fixture(scope="module", params=["arm-net", "arm-net-plus"])
def model(request: pytest.FixtureRequest) -> ArmNetModel:
    kind = ArmNetParameters if request.param == "arm-net" else ArmNetPlusParameters
    fitted = build(kind(**SMALL, epochs=8)).fit(training_data(main_effects(3000)), FitContext(seed=1))
    assert isinstance(fitted, ArmNetModel)
    return fitted


def explained(model: ArmNetModel, kind: ExplanationKind):  # type: ignore[no-untyped-def]
    (explanation,) = model.explain(ROWS, [kind], ExplainContext())
    return explanation


def test_contributions_sum_to_the_predicted_logit(model: ArmNetModel) -> None:
    shares = explained(model, ExplanationKind.CONTRIBUTIONS)
    assert isinstance(shares, Contributions)
    np.testing.assert_allclose(shares.baseline + shares.values.sum(1), model.predict(ROWS).logit(), atol=1e-9)
    np.testing.assert_array_equal(shares.logits, model.predict(ROWS).logit())


def test_fields_that_matter_contribute_more_than_fields_that_do_not(model: ArmNetModel) -> None:
    shares = explained(model, ExplanationKind.CONTRIBUTIONS)
    strength = dict(zip(shares.fields, np.abs(shares.values).mean(0), strict=True))
    assert min(strength["colour"], strength["size"]) > 1.5 * max(strength["region"], strength["age"])


def test_the_sign_of_a_contribution_is_that_of_the_effect(model: ArmNetModel) -> None:
    shares = explained(model, ExplanationKind.CONTRIBUTIONS)
    column = shares.fields.index("size")
    assert np.corrcoef(shares.values[:, column], ROWS.values[:, 0])[0, 1] > 0.8


def test_shares_of_the_fields_are_exact_in_every_neuron(model: ArmNetModel) -> None:
    ids, values = torch.tensor(ROWS.ids), torch.tensor(ROWS.values)
    inside = model.network.inside(ids, values)
    shares = torch.einsum("bfe,bfn->bfen", inside.embedded, inside.weights)
    with torch.no_grad():
        sums = model.network.arm.exponents(model.network.embedding(ids, values))
    torch.testing.assert_close(shares.sum(1), sums, rtol=1e-4, atol=1e-5)


def test_the_baseline_is_the_mean_of_what_training_rows_show() -> None:
    data = training_data(main_effects(400))
    model = build(ArmNetParameters(**SMALL, epochs=1)).fit(data, FitContext())
    inside = model.network.inside(torch.tensor(data.train.ids), torch.tensor(data.train.values))
    expected = torch.einsum("bfe,bfn->fen", inside.embedded, inside.weights) / len(data.train)
    torch.testing.assert_close(model.origin["shares"], expected, rtol=1e-4, atol=1e-6)


def test_field_importance_is_the_published_sum_of_value_weights(model: ArmNetModel) -> None:
    importance = explained(model, ExplanationKind.FIELD_IMPORTANCE)
    assert isinstance(importance, FieldImportance)
    expected = model.network.arm.values.abs().sum(1).numpy()
    np.testing.assert_allclose(importance.values, expected, rtol=1e-6)
    assert "ignores" in importance.meaning


def test_terms_are_the_sets_of_open_gates_counted_one_by_one(model: ArmNetModel) -> None:
    terms = explained(model, ExplanationKind.INTERACTION_TERMS)
    assert isinstance(terms, InteractionTerms)
    inside = model.network.inside(torch.tensor(ROWS.ids), torch.tensor(ROWS.values))
    counts: dict[tuple[str, ...], list[float]] = {}
    for gates, weights in zip(inside.gates.numpy(), inside.weights.numpy(), strict=True):
        for n in range(gates.shape[1]):
            chosen = np.flatnonzero(gates[:, n] > 0)
            names = tuple(ROWS.schema.names[f] for f in chosen)
            counts.setdefault(names, []).append(float(np.abs(weights[chosen, n]).mean()))
    expected = {names: sizes for names, sizes in counts.items() if len(names) > 1}
    assert {term.fields for term in terms.terms} == set(expected)
    for term in terms.terms:
        assert term.frequency == pytest.approx(len(expected[term.fields]) / len(ROWS))
        assert term.weight == pytest.approx(np.mean(expected[term.fields]), rel=1e-5)


def test_only_the_asked_kinds_that_exist_are_answered(model: ArmNetModel) -> None:
    kinds = [explanation.kind for explanation in model.explain(ROWS, ALL, ExplainContext())]
    assert set(kinds) == set(ALL) - {ExplanationKind.PAIR_INTERACTIONS}
    assert model.explain(ROWS, [], ExplainContext()) == ()


def test_stop_ends_an_explanation(model: ArmNetModel) -> None:
    with pytest.raises(Stopped):
        model.explain(ROWS, [ExplanationKind.CONTRIBUTIONS], ExplainContext(should_stop=lambda: True))


def test_progress_of_an_explanation_ends_at_one(model: ArmNetModel) -> None:
    seen: list[float] = []
    model.explain(ROWS, [ExplanationKind.CONTRIBUTIONS], ExplainContext(progress=seen.append))
    assert seen == sorted(seen)
    assert seen[-1] == 1


def test_no_rows_have_no_terms(model: ArmNetModel) -> None:
    (terms,) = model.explain(ROWS.take(slice(0, 0)), [ExplanationKind.INTERACTION_TERMS], ExplainContext())
    assert terms.terms == ()
