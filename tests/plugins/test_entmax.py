from __future__ import annotations

import pytest
import torch
from entmax import entmax15, entmax_bisect, sparsemax
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

import plugins.entmax
from plugins.entmax import entmax

ALPHAS = (1.05, 1.3, 1.5, 1.7, 2.0, 2.25, 2.5)


def peer(x: Tensor, alpha: float, dim: int) -> Tensor:
    if alpha == 1.5:
        return entmax15(x, dim=dim)
    return sparsemax(x, dim=dim) if alpha == 2 else entmax_bisect(x, alpha, dim=dim, n_iter=80)


def both_ways(function, x: Tensor, alpha: float, dim: int) -> tuple[Tensor, Tensor]:  # type: ignore[no-untyped-def]
    given_x = x.detach().clone().requires_grad_()
    p = function(given_x, alpha, dim)
    weights = torch.linspace(-1, 1, p.numel(), dtype=p.dtype).view_as(p)
    (p * weights).sum().backward()
    assert given_x.grad is not None
    return p.detach(), given_x.grad


@pytest.mark.parametrize("spread", [0.1, 1.0, 5.0, 1e4])
@pytest.mark.parametrize("alpha", ALPHAS)
def test_result_and_gradient_are_those_of_the_published_library(alpha: float, spread: float) -> None:
    x = torch.randn(40, 10, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(3)) * spread
    p, gradient = both_ways(entmax, x, alpha, 1)
    their_p, their_gradient = both_ways(peer, x, alpha, 1)
    torch.testing.assert_close(p, their_p, rtol=0, atol=1e-9)
    torch.testing.assert_close(gradient, their_gradient, rtol=0, atol=1e-5)


@pytest.mark.parametrize("alpha", ALPHAS)
def test_single_precision_agrees_where_no_entry_is_about_to_leave_the_support(alpha: float) -> None:
    x = torch.randn(200, 10, dtype=torch.float64, generator=torch.Generator().manual_seed(4))
    exact, exact_gradient = both_ways(peer, x, alpha, 1)
    edge = (distance_to_threshold(x, exact, alpha).abs() < 1e-3).any(1)
    assert edge.float().mean() < 0.1
    p, gradient = both_ways(entmax, x.float(), alpha, 1)
    torch.testing.assert_close(p[~edge].double(), exact[~edge], rtol=0, atol=1e-5)
    torch.testing.assert_close(gradient[~edge].double(), exact_gradient[~edge], rtol=0, atol=1e-5)


@pytest.mark.parametrize("alpha", [1.01, *ALPHAS])
def test_what_is_shut_out_is_exactly_nothing_and_the_input_is_left_alone(alpha: float) -> None:
    x = torch.randn(300, 12, generator=torch.Generator().manual_seed(7)) * 4
    x[:, 3] = -1e4
    before = x.clone()
    p, slope = plugins.entmax.entmax_and_slope(x, alpha, 1)
    assert torch.equal(x, before)
    assert (p[:, 3] == 0).all()
    assert (slope[:, 3] == 0).all()
    assert torch.equal(p > 0, slope > 0)
    torch.testing.assert_close(p.sum(1), torch.ones(300))


def distance_to_threshold(x: Tensor, p: Tensor, alpha: float) -> Tensor:
    """Return (alpha - 1) x - tau; the largest entry is always in the support and tells tau."""
    scaled = (alpha - 1) * x
    return scaled - scaled.amax(1, keepdim=True) + p.amax(1, keepdim=True) ** (alpha - 1)


@pytest.mark.parametrize("alpha", (1.0, *ALPHAS))
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_equal_scores_share_equally_and_one_field_takes_all(alpha: float, dtype: torch.dtype) -> None:
    for size in (1, 2, 7):
        p = entmax(torch.full((3, size), 5.0, dtype=dtype), alpha)
        torch.testing.assert_close(p, torch.full_like(p, 1 / size))


@pytest.mark.parametrize("alpha", (1.0, *ALPHAS))
def test_ties_get_the_same_share(alpha: float) -> None:
    p = entmax(torch.tensor([[1.0, 1.3, 1.3, -2.0]]), alpha)
    assert p[0, 1] == p[0, 2]
    assert p[0, 1] > p[0, 0]


@pytest.mark.parametrize("alpha", ALPHAS)
def test_huge_scores_keep_their_differences(alpha: float) -> None:
    x = torch.tensor([[0.0, 0.25, -0.5]], dtype=torch.float64)
    torch.testing.assert_close(entmax(x + 1e6, alpha), entmax(x, alpha), rtol=0, atol=1e-7)


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.floats(-50, 50, width=32), min_size=1, max_size=12),
    st.sampled_from((1.0, *ALPHAS)),
)
def test_every_result_is_a_distribution_in_the_order_of_its_scores(scores: list[float], alpha: float) -> None:
    p = entmax(torch.tensor(scores), alpha)
    assert p.sum().item() == pytest.approx(1, abs=1e-5)
    assert (p >= 0).all()
    order = torch.tensor(scores).argsort()
    assert (p[order].diff() >= -1e-6).all()


@pytest.mark.parametrize("alpha", [1.0, 1.5, 1.7, 2.5])
def test_the_gradient_is_that_of_finite_differences(alpha: float) -> None:
    x = torch.tensor([[0.3, 0.1, -0.2, 0.0]], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda scores: entmax(scores, alpha), (x,))


def test_the_axis_may_be_any() -> None:
    x = torch.randn(3, 4, 5, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(entmax(x, 1.5, 0), entmax(x.movedim(0, -1), 1.5).movedim(-1, 0))


def test_scores_that_are_no_numbers_end_and_stay_visible() -> None:
    assert entmax(torch.tensor([[float("nan"), 1.0]]), 1.7).isnan().any()


def test_no_rows_have_no_result() -> None:
    assert entmax(torch.zeros(0, 4), 1.7).shape == (0, 4)


@pytest.mark.parametrize("alpha", [0.9, 2.6])
def test_another_alpha_is_refused(alpha: float) -> None:
    with pytest.raises(ValueError, match="alpha is"):
        entmax(torch.zeros(1, 2), alpha)


@pytest.mark.parametrize("alpha", [1.05, 1.5, 1.7, 2.0])
def test_newton_on_the_norm_needs_few_evaluations(alpha: float, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    evaluate = plugins.entmax._Terms.evaluate
    monkeypatch.setattr(plugins.entmax._Terms, "evaluate", lambda *given: calls.append(1) or evaluate(*given))
    entmax(torch.randn(500, 10, generator=torch.Generator().manual_seed(2)), alpha)
    assert len(calls) <= 7
