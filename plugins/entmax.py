"""alpha-entmax: a softmax that can say exactly zero (Peters, Niculae & Martins, ACL 2019).

    p_i = [ (alpha - 1) x_i - tau ]_+ ^ q,    q = 1 / (alpha - 1),    tau such that sum_i p_i = 1

alpha = 1 is softmax, alpha = 2 sparsemax (Martins & Astudillo, ICML 2016).

With u_i = [(alpha - 1) x_i - tau]_+ and f(tau) = sum_i u_i^q, the threshold is the root of h(tau) = f(tau)^(1/q) - 1:
the q-norm of u less one. For alpha <= 2 it is convex and nearly linear, so Newton's method climbs to the root from the
left without ever passing it; alpha = 2 ends at the exact support after finitely many steps. Newton on f itself takes
about twice as many steps. For alpha > 2 the norm is no longer convex and each step is kept inside a bracket.
"""

from __future__ import annotations

from dataclasses import dataclass
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
    p, slope = torch.empty_like(x), torch.empty_like(x)
    entmax_into(x.clone(), alpha, dim, p=p, slope=slope, room=torch.empty_like(x))
    return p, slope


def entmax_into(x: Tensor, alpha: float, dim: int, *, p: Tensor, slope: Tensor, room: Tensor) -> None:
    """Write what `entmax_and_slope` returns into `p` and `slope`; `x` and `room`, of the same shape, are written over.

    Nothing of that size is allocated: fresh pages take longer than most of the steps.
    """
    if alpha == 1:
        torch.softmax(x, dim, out=p)
        slope.copy_(p)
        return
    x.sub_(x.amax(dim, keepdim=True)).mul_(alpha - 1)  # tau is now in [-1, 0): huge scores keep their digits
    terms = _Terms(x, 1 / (alpha - 1), dim, p, slope, room)
    total = _solve_convex(terms) if alpha <= 2 else _solve_bracketed(terms)
    terms.close()
    p.div_(total)


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


@dataclass(frozen=True, slots=True, eq=False)
class _Terms:
    """u^q and u^(q-1) for u = [x - tau]_+, worked out in place: in `p` and in `slope`, with u in `room`.

    Logarithms of 0 and exponentials that vanish take five times as long as others. So where powers are needed u is
    kept above a floor whose q-th power is next to nothing, and what lies on the floor is made 0 by `close`.
    """

    x: Tensor
    q: float
    dim: int
    p: Tensor
    slope: Tensor
    room: Tensor

    def evaluate(self, tau: Tensor) -> Tensor:
        """Return f = sum u^q."""
        p, slope, u = self.p, self.slope, self.room
        if self.q == 1:
            torch.sub(self.x, tau, out=p).clamp_(min=0)
            torch.sign(p, out=slope)
        elif self.q == 2:
            torch.sub(self.x, tau, out=slope).clamp_(min=0)
            torch.mul(slope, slope, out=p)
        else:
            torch.sub(self.x, tau, out=u).clamp_(min=self.floor)
            torch.log(u, out=slope).mul_(self.q - 1).exp_()
            if self.q < 1:
                slope.masked_fill_(u <= self.floor, 0)
            torch.mul(u, slope, out=p)
        return p.sum(self.dim, keepdim=True)

    def newton_step(self, f: Tensor) -> Tensor:
        """Return (h - 1) / -h' for h = f^(1/q), h' = -f^(1/q - 1) sum u^(q-1)."""
        return (f - f.log().mul_(1 - 1 / self.q).exp_()).div_(self.slope.sum(self.dim, keepdim=True))

    def close(self) -> None:
        """Make 0 what lies on the floor."""
        if self.q > 1 and self.q != 2:
            torch.threshold_(self.slope, 1.001 * self.floor ** (self.q - 1), 0)
            torch.mul(self.room, self.slope, out=self.p)

    @property
    def floor(self) -> float:
        """Return the least u where powers are needed."""
        return float((100 * torch.finfo(self.x.dtype).tiny) ** (1 / max(self.q, 1)))

    @property
    def largest_tau(self) -> float:
        """Return the threshold when all entries are equal; no other input has a larger one (the largest entry is 0)."""
        return -float(self.x.shape[self.dim] ** (-1 / self.q))


def _solve_convex(terms: _Terms) -> Tensor:
    """Climb from the left; both starting points have f >= 1: the largest entry alone, and the power mean of all."""
    highest = terms.largest_tau
    tau = (terms.x.mean(terms.dim, keepdim=True) + highest).clamp_(min=-1)
    f = terms.evaluate(tau)
    for _ in range(_CONVEX_STEPS):
        if _converged(f):
            break
        tau = tau.add_(terms.newton_step(f)).clamp_(max=highest)
        f = terms.evaluate(tau)
    return f


def _solve_bracketed(terms: _Terms) -> Tensor:
    """Newton inside a shrinking bracket; every third step, and every step that would leave it, halves the bracket."""
    low = torch.full_like(terms.x.narrow(terms.dim, 0, 1), -1)
    high = torch.full_like(low, terms.largest_tau)
    tau = low
    f = terms.evaluate(tau)
    for step in range(1, _BRACKET_STEPS + 1):
        if _converged(torch.where(high - low <= torch.finfo(f.dtype).eps, 1, f)):
            break
        low, high = torch.where(f >= 1, tau, low), torch.where(f < 1, tau, high)
        newton, middle = tau + terms.newton_step(f), (low + high) / 2
        inside = (newton > low) & (newton < high)
        tau = middle if step % 3 == 0 else torch.where(inside, newton, middle)
        f = terms.evaluate(tau)
    return f


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
