"""Rational functions with mpmath, written from the definition, and a model of what an image transformer computes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import mpmath
import torch
from torch import nn

mpmath.mp.dps = 50


@dataclass
class Exact:
    """F at one point and its derivatives; beside each what it would be if nothing cancelled."""

    value: mpmath.mpf
    x: mpmath.mpf
    a: list[mpmath.mpf]
    b: list[mpmath.mpf]
    value_size: mpmath.mpf
    x_size: mpmath.mpf
    a_size: list[mpmath.mpf]
    b_size: list[mpmath.mpf]


def exact(
    x: float, numerator: Sequence[float], denominator: Sequence[float], variant: str
) -> Exact:
    """Derivatives of |z| at 0 are +1."""
    z = mpmath.mpf(x)
    a = [mpmath.mpf(v) for v in numerator]
    b = [mpmath.mpf(v) for v in denominator]
    first = 0 if variant == "C" else 1
    sign = _sign
    if variant == "A":
        b_signs = [sign(v) for v in b]
        t, dt = abs(z), sign(z)
        b = [abs(v) for v in b]
    else:
        b_signs = [mpmath.mpf(1)] * len(b)
        t, dt = z, mpmath.mpf(1)
    w = mpmath.fsum(v * t ** (first + k) for k, v in enumerate(b))
    dw = mpmath.fsum(
        (first + k) * v * t ** (first + k - 1) for k, v in enumerate(b) if first + k > 0
    )
    fold = sign(w) if variant in "BC" else mpmath.mpf(1)
    q = (mpmath.mpf("0.1") if variant == "C" else 1) + fold * w
    p = mpmath.fsum(v * z**i for i, v in enumerate(a))
    dp = mpmath.fsum(i * v * z ** (i - 1) for i, v in enumerate(a) if i > 0)
    size_p = mpmath.fsum(abs(v * z**i) for i, v in enumerate(a))
    size_dp = mpmath.fsum(abs(i * v * z ** (i - 1)) for i, v in enumerate(a) if i > 0)
    size_w = mpmath.fsum(abs(v * t ** (first + k)) for k, v in enumerate(b))
    size_dw = mpmath.fsum(
        abs((first + k) * v * t ** (first + k - 1)) for k, v in enumerate(b) if first + k > 0
    )
    loss = 1 + size_w / abs(q)  # of relative precision in Q
    terms_a = [z**i / q for i in range(len(a))]
    terms_b = [-p / q**2 * fold * s * t ** (first + k) for k, s in enumerate(b_signs)]
    return Exact(
        value=p / q,
        x=dp / q - p * fold * dw * dt / q**2,
        a=terms_a,
        b=terms_b,
        value_size=size_p / abs(q) * loss,
        x_size=(size_dp / abs(q) + size_p * size_dw / q**2) * loss,
        a_size=[abs(v) * loss for v in terms_a],
        b_size=[size_p / q**2 * abs(t ** (first + k)) * loss for k in range(len(b))],
    )


def _sign(v: mpmath.mpf) -> mpmath.mpf:
    return mpmath.mpf(1) if v >= 0 else mpmath.mpf(-1)


def formula(
    x: torch.Tensor, numerator: torch.Tensor, denominator: torch.Tensor, variant: str, dim: int
) -> torch.Tensor:
    """F by powers, group by group, in float64; with torch's autograd, so not at the kinks."""
    channels_last = x.double().movedim(dim, -1)
    groups = max(len(numerator), len(denominator))
    parts = []
    for g, part in enumerate(channels_last.chunk(groups, dim=-1)):
        a = numerator[g % len(numerator)].double()
        b = denominator[g % len(denominator)].double()
        first = 0 if variant == "C" else 1
        t = part.abs() if variant == "A" else part
        b = b.abs() if variant == "A" else b
        w = sum((v * t ** (first + k) for k, v in enumerate(b)), torch.zeros_like(part))
        q = 0.1 + w.abs() if variant == "C" else 1 + (w.abs() if variant == "B" else w)
        p = sum((v * part**i for i, v in enumerate(a)), torch.zeros_like(part))
        parts.append(p / q)
    return torch.cat(parts, dim=-1).movedim(-1, dim)


class PlainViT(nn.Module):
    """A vision transformer with the parameter names of timm, written from the definition."""

    def __init__(
        self, size: int, patch: int, dim: int, depth: int, heads: int, classes: int
    ) -> None:
        super().__init__()
        self.patch_embed = nn.Module()
        self.patch_embed.proj = nn.Conv2d(3, dim, patch, patch)
        self.cls_token = nn.Parameter(torch.randn(1, 1, dim))
        self.pos_embed = nn.Parameter(torch.randn(1, (size // patch) ** 2 + 1, dim))
        self.blocks = nn.ModuleList(self._block(dim, heads) for _ in range(depth))
        self.norm = nn.LayerNorm(dim, eps=1e-6)
        self.head = nn.Linear(dim, classes)

    @staticmethod
    def _block(dim: int, heads: int) -> nn.Module:
        block = nn.Module()
        block.norm1 = nn.LayerNorm(dim, eps=1e-6)
        block.attn = nn.Module()
        block.attn.num_heads = heads  # type: ignore[assignment]
        block.attn.qkv = nn.Linear(dim, 3 * dim)
        block.attn.proj = nn.Linear(dim, dim)
        block.norm2 = nn.LayerNorm(dim, eps=1e-6)
        block.mlp = nn.Module()
        block.mlp.fc1 = nn.Linear(dim, 4 * dim)
        block.mlp.act = nn.GELU()
        block.mlp.fc2 = nn.Linear(4 * dim, dim)
        return block

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        tokens = self.patch_embed.proj(x).flatten(2).transpose(1, 2)  # type: ignore[operator]
        x = torch.cat([self.cls_token.expand(len(x), 1, -1), tokens], 1) + self.pos_embed
        for block in self.blocks:
            h = block.norm1(x)  # type: ignore[operator]
            heads = block.attn.num_heads  # type: ignore[union-attr]
            out = []
            q, k, v = block.attn.qkv(h).chunk(3, dim=-1)  # type: ignore[union-attr,operator]
            for qh, kh, vh in zip(*(z.chunk(heads, -1) for z in (q, k, v)), strict=True):
                weights = (qh @ kh.transpose(1, 2) / qh.shape[-1] ** 0.5).softmax(-1)
                out.append(weights @ vh)
            x = x + block.attn.proj(torch.cat(out, -1))  # type: ignore[union-attr,operator]
            mlp = block.mlp
            x = x + mlp.fc2(mlp.act(mlp.fc1(block.norm2(x))))  # type: ignore[operator,union-attr]
        return self.head(self.norm(x)[:, 0])  # type: ignore[no-any-return]
