"""alpha-entmax: a softmax that can say exactly zero (Peters, Niculae & Martins, ACL 2019).

    p_i = [ (alpha - 1) x_i - tau ]_+ ^ q,    q = 1 / (alpha - 1),    tau such that sum_i p_i = 1

alpha = 1 is softmax, alpha = 2 sparsemax (Martins & Astudillo, ICML 2016).

With u_i = [(alpha - 1) x_i - tau]_+ and f(tau) = sum_i u_i^q, the threshold is the root of h(tau) = f(tau)^(1/q) - 1:
the q-norm of u less one. For alpha <= 2 it is convex and nearly linear, so Newton's method climbs to the root from the
left without ever passing it; alpha = 2 ends at the exact support after finitely many steps. Newton on f itself takes
about twice as many steps. For alpha > 2 the norm is no longer convex and each step is kept inside a bracket.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

MAX_ALPHA = 2.5
_CONVEX_STEPS = 12
_BRACKET_STEPS = 80


def entmax(x: Tensor, alpha: float, dim: int = -1) -> Tensor:
    """Return the alpha-entmax of `x` along `dim`, in the shape and type of `x`; 1 <= alpha <= 2.5.

    ValueError for another alpha. Gradients flow to `x`, not to `alpha`.
    """
    check_alpha(alpha)
    if alpha == 1:
        return torch.softmax(x, dim)
    return _Entmax.apply(x, alpha, dim)  # type: ignore[no-any-return, no-untyped-call]


def check_alpha(alpha: float) -> None:
    """Raise ValueError unless alpha is in [1, 2.5]."""
    if not 1 <= alpha <= MAX_ALPHA:
        raise ValueError(f"alpha is {alpha}, expected 1 to {MAX_ALPHA}")


def entmax_and_slope(x: Tensor, alpha: float, dim: int = -1) -> tuple[Tensor, Tensor]:
    """Return p and its slope s = p^(2 - alpha) on the support, 0 elsewhere, without a graph; `x` is not changed.

    The Jacobian is diag(s) - s s' / sum(s), see `entmax_backward`.
    """
    if alpha == 1:
        p = torch.softmax(x, dim)
        return p, p
    q = 1 / (alpha - 1)
    centred = (x - x.amax(dim, keepdim=True)).mul_(alpha - 1)  # tau is now in [-1, 0): huge scores keep their digits
    p, slope, total = _solve_convex(centred, q, dim) if alpha <= 2 else _solve_bracketed(centred, q, dim)
    return p / total, slope


def entmax_backward(gradient: Tensor, slope: Tensor, dim: int = -1) -> Tensor:
    """Return the gradient at the input: s * (g - <g, s> / <1, s>)."""
    product = gradient * slope
    ratio = product.sum(dim, keepdim=True).div_(slope.sum(dim, keepdim=True))
    return product.addcmul_(slope, ratio, value=-1)


class _Entmax(torch.autograd.Function):
    """Keeps the result alone for the backward pass: the slope is a power of it."""

    @staticmethod
    def forward(context: Any, x: Tensor, alpha: float, dim: int) -> Tensor:
        p, _ = entmax_and_slope(x, alpha, dim)
        context.alpha, context.dim = alpha, dim
        context.save_for_backward(p)
        return p

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        (p,) = context.saved_tensors
        return entmax_backward(gradient, _power(p, 2 - context.alpha), context.dim), None, None


def _solve_convex(x: Tensor, q: float, dim: int) -> tuple[Tensor, Tensor, Tensor]:
    """Climb from the left; both starting points have f >= 1: the largest entry alone, and the power mean of all."""
    tau = (x.mean(dim, keepdim=True) - x.shape[dim] ** (-1 / q)).clamp_(min=-1)
    p, slope, f = _evaluate(x, tau, q, dim)
    for _ in range(_CONVEX_STEPS):
        if _converged(f):
            break
        tau = (tau + _newton_step(f, slope, q, dim)).clamp_(max=_largest_tau(x, q, dim))
        p, slope, f = _evaluate(x, tau, q, dim)
    return p, slope, f


def _solve_bracketed(x: Tensor, q: float, dim: int) -> tuple[Tensor, Tensor, Tensor]:
    """Newton inside a shrinking bracket; every third step, and every step that would leave it, halves the bracket."""
    low = torch.full_like(x.narrow(dim, 0, 1), -1)
    high = torch.full_like(low, _largest_tau(x, q, dim))
    tau = low
    p, slope, f = _evaluate(x, tau, q, dim)
    for step in range(1, _BRACKET_STEPS + 1):
        if _converged(torch.where(high - low <= torch.finfo(x.dtype).eps, 1, f)):
            break
        low, high = torch.where(f >= 1, tau, low), torch.where(f < 1, tau, high)
        newton, middle = tau + _newton_step(f, slope, q, dim), (low + high) / 2
        inside = (newton > low) & (newton < high)
        tau = middle if step % 3 == 0 else torch.where(inside, newton, middle)
        p, slope, f = _evaluate(x, tau, q, dim)
    return p, slope, f


def _largest_tau(x: Tensor, q: float, dim: int) -> float:
    """Return the threshold when all entries are equal; no other input has a larger one (the largest entry is 0)."""
    return -float(x.shape[dim] ** (-1 / q))


def _evaluate(x: Tensor, tau: Tensor, q: float, dim: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return u^q, u^(q-1) on the support, and f = sum u^q, for u = [x - tau]_+."""
    u = (x - tau).clamp_(min=0)
    if q == 1:
        return u, u.sign(), u.sum(dim, keepdim=True)
    slope = u if q == 2 else _power(u, q - 1)
    p = u * slope
    return p, slope, p.sum(dim, keepdim=True)


def _newton_step(f: Tensor, slope: Tensor, q: float, dim: int) -> Tensor:
    """Return (h - 1) / -h' for h = f^(1/q), h' = -f^(1/q - 1) sum u^(q-1)."""
    return (f - f.pow(1 - 1 / q)) / slope.sum(dim, keepdim=True)


def _converged(f: Tensor) -> bool:
    """Whether every sum is 1 to rounding (what is left goes when p is divided by its sum), or nothing is a number."""
    tolerance = 4e-6 if f.dtype == torch.float32 else 1e-13
    return f.numel() == 0 or not (f - 1).abs_().max().item() > tolerance


def _power(base: Tensor, exponent: float) -> Tensor:
    """Return base^exponent where base > 0, and 0 elsewhere; exp(log) takes half the time of pow."""
    if exponent == 0:
        return base.sign()
    if exponent == 0.5:
        return base.sqrt()
    power = base.log().mul_(exponent).exp_()
    return power if exponent > 0 else power.masked_fill_(base <= 0, 0)
