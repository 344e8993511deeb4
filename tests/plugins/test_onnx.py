"""A network as an ONNX file gives the numbers of the network, without torch and for any number of rows."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from crosslens import DataError, EncodedDataset, EncodedSchema, OnnxExport
from crosslens.data import PRESENT_ID
from crosslens.testing.rows import main_effects, make_dataset, unseen_ids, xor
from plugins.armnet import ArmNetParameters, ArmNetPlusParameters
from plugins.armnet.fitted import ArmNetModel
from plugins.armnet.gate import exponents
from plugins.armnet.graph import exponents_graph
from plugins.autoint import AutoIntPlusParameters
from plugins.autoint.fitted import AutoIntModel
from plugins.entmax import entmax
from plugins.entmax_graph import entmax_graph
from plugins.esmm import EsmmParameters
from plugins.esmm.fitted import EsmmModel
from plugins.logistic_model import LogisticModel

onnxruntime = pytest.importorskip("onnxruntime")

ALPHAS = [1.0, 1.05, 1.3, 1.5, 1.7, 2.0, 2.2, 2.5]


@pytest.mark.parametrize("alpha", ALPHAS)
@pytest.mark.parametrize("spread", [0.0, 0.01, 1.0, 30.0, 3000.0])
def test_the_gate_of_fixed_steps_is_the_gate(alpha: float, spread: float) -> None:
    x = torch.randn(64, 11, 5, generator=torch.Generator().manual_seed(3), dtype=torch.float64) * spread
    torch.testing.assert_close(entmax_graph(x, alpha, 1), entmax(x, alpha, 1), rtol=0, atol=1e-6)
    single = entmax_graph(x.float(), alpha, 1)
    torch.testing.assert_close(single.sum(1), torch.ones(64, 5), rtol=0, atol=1e-6)
    if alpha <= 2:
        torch.testing.assert_close(single, entmax(x.float(), alpha, 1), rtol=0, atol=1e-6)


@given(
    st.lists(st.floats(-50, 50, width=32), min_size=1, max_size=12),
    st.sampled_from(ALPHAS),
)
@settings(max_examples=60, deadline=None)
def test_the_gate_of_fixed_steps_is_a_distribution(scores: list[float], alpha: float) -> None:
    p = entmax_graph(torch.tensor(scores, dtype=torch.float64), alpha)
    assert bool((p >= 0).all())
    assert float(p.sum()) == pytest.approx(1, abs=1e-9)
    torch.testing.assert_close(p, entmax(torch.tensor(scores, dtype=torch.float64), alpha), rtol=0, atol=1e-6)


@pytest.mark.parametrize("rows", [0, 1, 2, 700])
@pytest.mark.parametrize("alpha", [1.0, 1.7, 2.5])
def test_exponents_in_one_piece_are_those_in_blocks(rows: int, alpha: float) -> None:
    random = torch.Generator().manual_seed(rows)
    embedded, alignment, values = (torch.randn(*shape, generator=random) for shape in ((rows, 6, 4), (4, 10), (6, 10)))
    one, blocks = (each(embedded, alignment, values, alpha) for each in (exponents_graph, exponents))
    torch.testing.assert_close(one, blocks, rtol=1e-5, atol=1e-5)


def trained(model: type[Any], parameters: Any, data: EncodedDataset) -> Any:
    """Return a model as after training, as far as predictions go: nothing is at its initial value."""
    with torch.random.fork_rng([]):
        torch.manual_seed(5)
        network = model.make(data.schema, parameters)
        for tensor in (*network.parameters(), *(each for each in network.buffers() if each.is_floating_point())):
            tensor.data += 0.1 * torch.rand_like(tensor)
    return model(data.schema, parameters, network.eval().requires_grad_(False), {}, {})


def logistic(data: EncodedDataset) -> LogisticModel:
    random = np.random.default_rng(2)
    coefficients = random.normal(size=data.schema.table_size + 2 * len(data.schema.numerical))
    return LogisticModel.from_coefficients(data, coefficients, 0.3)


def session(model: OnnxExport, path: Path) -> Any:
    model.export_onnx(path, {"crosslens.run": "ü", "empty": ""})
    return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])


def check_same(model: Any, path: Path, data: EncodedDataset) -> None:
    found = session(model, path)
    assert [each.name for each in found.get_inputs()] == ["ids", "values"]
    assert found.get_modelmeta().custom_metadata_map["crosslens.run"] == "ü"
    strange = unseen_ids(data)
    for rows in (*(data.take(slice(0, count)) for count in (0, 1, 2, 257)), strange):
        given_ = {"ids": np.asarray(rows.ids, np.int64), "values": np.asarray(rows.values)}
        outputs = dict(zip([each.name for each in found.get_outputs()], found.run(None, given_), strict=True))
        expected = model.predict(rows).logits
        assert list(outputs) == list(expected)
        for name, logits in expected.items():
            assert outputs[name].dtype == np.float32
            np.testing.assert_allclose(outputs[name], logits, atol=1e-4, rtol=0)


def test_arm_net_plus_is_the_same_as_onnx(tmp_path: Path) -> None:
    parameters = ArmNetPlusParameters(alpha=1.7, heads=2, neurons=3, layers=(8,))
    check_same(trained(ArmNetModel, parameters, main_effects(300)), tmp_path / "m.onnx", main_effects(300))


def test_autoint_plus_is_the_same_as_onnx_without_numerical_fields(tmp_path: Path) -> None:
    parameters = AutoIntPlusParameters(attention_layers=2, scaled=True, layer_norm=True, deep_layers=(8,))
    check_same(trained(AutoIntModel, parameters, xor(300)), tmp_path / "m.onnx", xor(300))


def grouped(rows: int) -> EncodedDataset:
    """Return rows with the yes and no of three values of a multi-valued field beside two other fields."""
    random = np.random.default_rng(1)
    values = {f"tags: {name}": (random.integers(0, PRESENT_ID + 1, rows), PRESENT_ID + 1) for name in "abc"}
    plain = make_dataset(
        {"colour": (random.integers(0, 5, rows), 5), **values}, {"size": random.normal(size=rows)}, np.arange(rows) % 2
    )
    fields = tuple(replace(each, group="tags") if each.name in values else each for each in plain.schema.fields)
    return replace(plain, schema=EncodedSchema(fields, plain.schema.labels))


@pytest.mark.parametrize(
    ("model", "parameters"),
    [
        (AutoIntModel, AutoIntPlusParameters(attention_layers=1, deep_layers=(8,))),
        (EsmmModel, EsmmParameters(layers=(8,))),
    ],
)
def test_values_of_one_field_are_the_same_as_onnx(model: type[Any], parameters: Any, tmp_path: Path) -> None:
    check_same(trained(model, parameters, grouped(300)), tmp_path / "m.onnx", grouped(300))


def test_esmm_is_the_same_as_onnx_with_all_three_outputs(tmp_path: Path) -> None:
    parameters = EsmmParameters(variant="esmm-ns", layers=(8,))
    check_same(trained(EsmmModel, parameters, main_effects(300)), tmp_path / "m.onnx", main_effects(300))


def test_a_logistic_regression_is_the_same_as_onnx(tmp_path: Path) -> None:
    check_same(logistic(main_effects(300)), tmp_path / "m.onnx", main_effects(300))


@pytest.mark.parametrize("alpha", [1.0, 2.0, 2.5])
@pytest.mark.slow
def test_arm_net_is_the_same_as_onnx_for_every_kind_of_gate(alpha: float, tmp_path: Path) -> None:
    parameters = ArmNetParameters(alpha=alpha, heads=1, neurons=4, layers=(8,))
    check_same(trained(ArmNetModel, parameters, main_effects(300)), tmp_path / "m.onnx", main_effects(300))


@pytest.mark.parametrize("a", [-60.0, -3.0, 0.0, 5.0, 60.0])
@pytest.mark.parametrize("b", [-60.0, 0.5, 60.0])
def test_the_product_of_chances_keeps_its_digits_in_the_graph(a: float, b: float) -> None:
    *_, both = EsmmModel.graph_outputs(torch.tensor([[a, b]]))
    exact = -np.logaddexp(np.logaddexp(-a, -b), -(a + b))
    assert float(both[0]) == pytest.approx(exact, rel=1e-6, abs=1e-5)


def test_weights_that_one_file_cannot_hold_are_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("plugins.neural.onnx.MOST_BYTES", 10)
    with pytest.raises(DataError, match="do not fit into an ONNX file"):
        logistic(main_effects(30)).export_onnx(tmp_path / "m.onnx", {})
    assert list(tmp_path.iterdir()) == []


def test_properties_may_be_long(tmp_path: Path) -> None:
    values = json.dumps([f"value {number}" for number in range(50_000)])
    model = logistic(main_effects(30))
    model.export_onnx(tmp_path / "m.onnx", {"crosslens.fields": values})
    opened = onnxruntime.InferenceSession(str(tmp_path / "m.onnx"), providers=["CPUExecutionProvider"])
    assert opened.get_modelmeta().custom_metadata_map["crosslens.fields"] == values
