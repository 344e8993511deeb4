"""The equations of SASRec and SRA-CL against plain loops and torch's own functions."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from crosslens.testing import sequences, small_catalogue
from plugins.sra_cl import SasRecParameters
from plugins.sra_cl import softmax as softmax_module
from plugins.sra_cl.contrast import Synthesizer, info_nce, replaced
from plugins.sra_cl.module import SasRec
from plugins.sra_cl.softmax import sampled_softmax_loss, softmax_loss
from plugins.sra_cl.windows import Windows, latest

SMALL = SasRecParameters(length=6, width=8, heads=2, layers=2, dropout=0.0)


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(3)


@pytest.mark.parametrize("scale", [0.1, 1.0, 4.0, 30.0], ids=["flat", "usual", "sharp", "beyond the safe bound"])
@pytest.mark.parametrize("block", [1, 40, 1 << 20], ids=["row by row", "a few rows", "at once"])
def test_the_softmax_in_blocks_has_the_value_and_gradients_of_the_plain_one(
    scale: float, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(softmax_module, "_BLOCK", block)
    states = (torch.randn(23, 5) * scale).requires_grad_()
    table = torch.randn(17, 5).requires_grad_()
    targets = torch.randint(0, 17, (23,))
    plain = functional.cross_entropy(states.double() @ table.double().T, targets)
    expected = torch.autograd.grad(plain, (states, table))
    ours = softmax_loss(states, table, targets)
    found = torch.autograd.grad(2.5 * ours, (states, table))
    torch.testing.assert_close(ours, plain.float(), rtol=1e-5, atol=1e-6)
    for gradient, one in zip(found, expected, strict=True):
        torch.testing.assert_close(gradient / 2.5, one, rtol=1e-4, atol=1e-6)


def test_the_softmax_keeps_nothing_as_large_as_the_scores() -> None:
    kept: list[int] = []
    states, table = torch.randn(300, 4, requires_grad=True), torch.randn(200, 4, requires_grad=True)

    def note(tensor: torch.Tensor) -> torch.Tensor:
        kept.append(tensor.numel())
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        softmax_loss(states, table, torch.zeros(300, dtype=torch.long))
    assert max(kept) <= 300 * 4


def test_the_sampled_softmax_of_every_other_item_is_the_full_one() -> None:
    states, table, targets = torch.randn(9, 4), torch.randn(12, 4), torch.randint(0, 12, (9,))
    drawn = torch.arange(12)
    sampled = sampled_softmax_loss(states, table[targets], table, hits=targets[:, None] == drawn, others=11)
    torch.testing.assert_close(sampled, functional.cross_entropy(states @ table.T, targets))


def test_the_sampled_softmax_has_an_honest_scale() -> None:
    states, table, targets = torch.randn(50, 4) * 0.3, torch.randn(400, 4), torch.randint(0, 400, (50,))
    full = functional.cross_entropy(states @ table.T, targets)
    drawn = torch.randint(0, 400, (300, 64))
    sampled = torch.stack(
        [
            sampled_softmax_loss(states, table[targets], table[some], hits=targets[:, None] == some, others=399)
            for some in drawn
        ]
    )
    assert float(sampled.mean()) == pytest.approx(float(full), rel=0.01)


def test_info_nce_is_that_of_a_loop() -> None:
    anchors, positives, users = torch.randn(5, 3), torch.randn(5, 3), torch.tensor([0, 1, 1, 2, 3])
    terms = []
    for b in range(5):
        cosines = [functional.cosine_similarity(anchors[b], positives[c], dim=0).item() / 0.3 for c in range(5)]
        counted = [cosines[c] for c in range(5) if c == b or users[c] != users[b]]
        terms.append(-cosines[b] + np.log(np.exp(counted).sum()))
    assert float(info_nce(anchors, positives, users, 0.3)) == pytest.approx(np.mean(terms), rel=1e-5)


def test_info_nce_of_a_single_sequence_is_0() -> None:
    anchor = torch.randn(1, 3, requires_grad=True)
    loss = info_nce(anchor, torch.randn(1, 3), torch.tensor([4]), 0.2)
    loss.backward()
    assert loss.item() == 0
    assert torch.isfinite(anchor.grad).all()


def test_the_synthesizer_weighs_those_it_found_alone() -> None:
    synthesizer = Synthesizer(4, 6)
    anchors, candidates, states = torch.randn(2, 4), torch.randn(2, 3, 4), torch.randn(2, 3, 6)
    found = torch.tensor([[True, True, False], [True, False, False]])
    mixed = synthesizer(anchors, candidates, found, states)
    torch.testing.assert_close(mixed[1], states[1, 0])
    queries, keys = synthesizer.anchor(anchors), synthesizer.candidate(candidates)
    weights = torch.stack([queries[0] @ keys[0, j] / 6**0.5 for j in range(2)]).softmax(0)
    torch.testing.assert_close(mixed[0], weights[0] * states[0, 0] + weights[1] * states[0, 1])


def test_a_share_of_items_is_replaced_by_items_alike_and_padding_never() -> None:
    alike = torch.full((6, 3), -1, dtype=torch.int32)
    alike[2], alike[3, :1] = torch.tensor([3, 4, 5], dtype=torch.int32), 4
    items = torch.tensor([2, 3, 5, 0, 0]).repeat(4000, 1)
    found = replaced(items, alike, 0.2)
    changed = (found != items).float().mean(0)
    assert changed[0] == pytest.approx(0.2, abs=0.03)
    assert changed[1] == pytest.approx(0.2, abs=0.03)
    assert changed[2:].sum() == 0
    picked = found[:, 0][found[:, 0] != 2].bincount(minlength=6)[3:].float()
    np.testing.assert_allclose(picked / picked.sum(), 1 / 3, atol=0.06)
    torch.testing.assert_close(replaced(items, alike, 0.0), items)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(0, 25), min_size=1, max_size=8), st.integers(1, 7), st.integers(1, 4))
def test_windows_train_every_target_exactly_once(lengths: list[int], length: int, size: int) -> None:
    histories = [[2 + number for number in range(events)] for events in lengths]
    train = sequences(small_catalogue(30), histories)
    windows = Windows.cut(train, length)
    seen: list[tuple[int, int, int]] = []
    batches = list(windows.batches(size)) if len(windows) else []
    for batch in batches:
        users = batch.users[:, None].expand(batch.items.shape)[batch.inside]
        inputs = batch.items[batch.inside]
        seen += zip(users.tolist(), inputs.tolist(), batch.targets.tolist(), strict=True)
        assert batch.items.shape[1] <= length
        assert (batch.items[~batch.inside] == 0).all()
        assert (batch.items[batch.inside] >= 2).all()
    expected = [(user, one, other) for user, h in enumerate(histories) for one, other in itertools.pairwise(h)]
    assert sorted(seen) == expected
    assert windows.targets == len(expected)
    assert len(batches) == (windows.batch_count(size) if batches else 0)


def test_the_latest_items_stand_at_the_left_of_their_rows() -> None:
    histories = sequences(small_catalogue(30), [[2, 3, 4, 5], [6], []])
    items, lengths = latest(histories, np.array([0, 1, 2]), 3)
    assert items.tolist() == [[3, 4, 5], [6, 0, 0], [0, 0, 0]]
    assert lengths.tolist() == [3, 1, 0]


def test_the_final_state_is_that_of_the_last_place_of_all() -> None:
    network = SasRec(20, SMALL).eval()
    items = torch.tensor([[2, 3, 4, 5], [6, 7, 0, 0], [8, 0, 0, 0]])
    lengths = torch.tensor([4, 2, 1])
    states = network(items, lengths)
    torch.testing.assert_close(network.final(items, lengths), states[torch.arange(3), lengths - 1])


def test_no_item_sees_a_later_one_or_padding() -> None:
    network = SasRec(20, SMALL).eval()
    lengths = torch.tensor([4])
    first = network(torch.tensor([[2, 3, 4, 5]]), lengths)
    second = network(torch.tensor([[2, 3, 9, 10]]), lengths)
    torch.testing.assert_close(first[:, :2], second[:, :2])
    assert not torch.allclose(first[:, 2], second[:, 2])
    padded = network(torch.tensor([[2, 3, 4, 5, 0, 0]]), lengths)
    torch.testing.assert_close(padded[:, :4], first)


def test_attention_is_that_of_a_loop() -> None:
    block = SasRec(20, SMALL).eval().blocks[0]
    x = torch.randn(1, 3, 8)
    query, key, value = block.projection(x)[0].split(8, dim=1)
    mixed = torch.zeros(3, 8)
    for place in range(3):
        for head in range(2):
            part = slice(4 * head, 4 * head + 4)
            scores = torch.stack([query[place, part] @ key[s, part] / 2 for s in range(place + 1)])
            mixed[place, part] = sum(w * value[s, part] for s, w in enumerate(scores.softmax(0)))
    attended = functional.layer_norm(x[0] + block.attended(mixed), (8,))
    fed = block.output(functional.gelu(block.hidden(attended)))
    torch.testing.assert_close(block(x)[0], functional.layer_norm(attended + fed, (8,)), rtol=1e-4, atol=1e-5)
