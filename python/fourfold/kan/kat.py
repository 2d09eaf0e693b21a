"""The Kolmogorov-Arnold transformer: a vision transformer with GR-KAN layers in the place of its MLPs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import torch
from torch import nn
from torch.nn import functional as f

from fourfold.kan._checks import check_dtype, check_positive, check_tensor
from fourfold.kan._kat_weights import (
    check_same,
    load,
    rational_sizes_of,
    sizes_of,
    take_epsilons,
    tensors_of,
)
from fourfold.kan.functional import Variant
from fourfold.kan.grkan import GRKANMLP, Init

__all__ = ["KAT", "KATBlock"]

Tensor = torch.Tensor

_SIZES = {"tiny": (192, 3), "small": (384, 6), "base": (768, 12)}


class _Attention(nn.Module):
    def __init__(self, dim: int, num_heads: int, qkv_bias: bool) -> None:
        super().__init__()
        check_positive("num_heads", num_heads)
        if dim % num_heads != 0:
            raise ValueError(f"dim: expected a multiple of {num_heads} heads, got {dim}")
        self.num_heads = num_heads
        self.qkv = nn.Linear(dim, 3 * dim, bias=qkv_bias)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(x).unflatten(-1, (3, self.num_heads, -1)).permute(2, 0, 3, 1, 4)
        mixed = f.scaled_dot_product_attention(q, k, v)
        out: Tensor = self.proj(mixed.transpose(1, 2).flatten(2))
        return out


class KATBlock(nn.Module):
    """A transformer block: ``x + attention(norm(x))``, then ``x + GRKANMLP(norm(x))``.

    Parameters
    ----------
    dim, num_heads : int
        Width, and number of attention heads.
    mlp_ratio : float
        Hidden width of the MLP in units of `dim`.
    groups, degree, variant
        Of the rational functions, see `Rational`.
    init : tuple
        What the two rational functions begin with.
    qkv_bias : bool
        Whether the projections to queries, keys and values have biases.
    drop : float
        Probability of dropout in the MLP.
    """

    def __init__(
        self,
        dim: int,
        num_heads: int,
        mlp_ratio: float = 4.0,
        groups: int = 8,
        degree: tuple[int, int] = (5, 4),
        variant: Variant = "A",
        init: tuple[Init, Init] = ("identity", "silu"),
        *,
        qkv_bias: bool = True,
        drop: float = 0.0,
    ) -> None:
        super().__init__()
        given: object = mlp_ratio
        if not isinstance(given, (int, float)) or not 0 < given < float("inf"):
            raise ValueError(f"mlp_ratio: expected a positive number, got {mlp_ratio!r}")
        self.norm1 = nn.LayerNorm(dim, eps=1e-6)
        self.attn = _Attention(dim, num_heads, qkv_bias)
        self.norm2 = nn.LayerNorm(dim, eps=1e-6)
        self.mlp = GRKANMLP(
            dim, round(dim * mlp_ratio), dim, groups, degree, variant, init, drop=drop
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, tokens, dim) to the same shape."""
        x = x + self.attn(self.norm1(x))
        out: Tensor = x + self.mlp(self.norm2(x))
        return out


class _PatchEmbedding(nn.Module):
    def __init__(self, patch_size: int, in_chans: int, dim: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(in_chans, dim, patch_size, patch_size)

    def forward(self, x: Tensor) -> Tensor:
        patches: Tensor = self.proj(x)
        return patches.flatten(2).transpose(1, 2)


class KAT(nn.Module):
    """The Kolmogorov-Arnold transformer for images.

    Parameters have the names of timm's vision transformers, and in each block ``mlp.act1`` and
    ``mlp.act2`` those of the published KAT, so that both kinds of state dicts fit.

    Parameters
    ----------
    img_size, patch_size, in_chans, num_classes : int
        Side of the (square) image and of a patch, in pixels; channels of the image; size of the
        result.
    embed_dim, depth, num_heads : int
        Width, number of blocks, attention heads. `KAT.tiny`, `KAT.small` and `KAT.base` know the
        published ones.
    mlp_ratio, groups, degree, variant, init, qkv_bias, drop
        Of the blocks, see `KATBlock`.

    References
    ----------
    X. Yang and X. Wang, *Kolmogorov-Arnold Transformer*, 2024, arXiv:2409.10594.
    """

    def __init__(
        self,
        img_size: int = 224,
        patch_size: int = 16,
        in_chans: int = 3,
        num_classes: int = 1000,
        embed_dim: int = 768,
        depth: int = 12,
        num_heads: int = 12,
        mlp_ratio: float = 4.0,
        groups: int = 8,
        degree: tuple[int, int] = (5, 4),
        variant: Variant = "A",
        init: tuple[Init, Init] = ("identity", "silu"),
        *,
        qkv_bias: bool = True,
        drop: float = 0.0,
    ) -> None:
        super().__init__()
        for name, value in (
            ("img_size", img_size),
            ("patch_size", patch_size),
            ("in_chans", in_chans),
            ("embed_dim", embed_dim),
            ("depth", depth),
        ):
            check_positive(name, value)
        check_positive("num_classes", num_classes, 0)
        if img_size % patch_size != 0:
            raise ValueError(f"img_size: expected a multiple of {patch_size}, got {img_size}")
        self.img_size, self.in_chans = img_size, in_chans
        self.patch_embed = _PatchEmbedding(patch_size, in_chans, embed_dim)
        tokens = (img_size // patch_size) ** 2 + 1
        self.cls_token = nn.Parameter(torch.empty(1, 1, embed_dim))
        self.pos_embed = nn.Parameter(torch.empty(1, tokens, embed_dim))
        self.blocks = nn.Sequential(
            *(
                KATBlock(
                    embed_dim,
                    num_heads,
                    mlp_ratio,
                    groups,
                    degree,
                    variant,
                    init,
                    qkv_bias=qkv_bias,
                    drop=drop,
                )
                for _ in range(depth)
            )
        )
        self.norm = nn.LayerNorm(embed_dim, eps=1e-6)
        self.head = nn.Linear(embed_dim, num_classes) if num_classes > 0 else nn.Identity()
        nn.init.normal_(self.cls_token, std=1e-6)
        nn.init.trunc_normal_(self.pos_embed, std=0.02)

    @classmethod
    def tiny(cls, **options: Any) -> KAT:
        """KAT-T: width 192, depth 12, 3 heads."""
        return cls._sized("tiny", options)

    @classmethod
    def small(cls, **options: Any) -> KAT:
        """KAT-S: width 384, depth 12, 6 heads."""
        return cls._sized("small", options)

    @classmethod
    def base(cls, **options: Any) -> KAT:
        """KAT-B: width 768, depth 12, 12 heads."""
        return cls._sized("base", options)

    @classmethod
    def _sized(cls, size: str, options: dict[str, Any]) -> KAT:
        dim, heads = _SIZES[size]
        return cls(**{"embed_dim": dim, "depth": 12, "num_heads": heads} | options)

    def forward_features(self, x: Tensor) -> Tensor:
        """The normalised tokens, (batch, 1 + patches, embed_dim), the class token first."""
        check_tensor("x", x)
        if x.dim() != 4 or x.shape[1:] != (self.in_chans, self.img_size, self.img_size):
            raise ValueError(
                f"x: expected shape (batch, {self.in_chans}, {self.img_size}, {self.img_size}), "
                f"got {tuple(x.shape)}"
            )
        check_dtype(x, self.pos_embed)
        x = self.patch_embed(x)
        x = torch.cat([self.cls_token.expand(x.shape[0], -1, -1), x], dim=1) + self.pos_embed
        out: Tensor = self.norm(self.blocks(x))
        return out

    def forward(self, x: Tensor) -> Tensor:
        """Map images (batch, in_chans, img_size, img_size) to logits (batch, num_classes)."""
        out: Tensor = self.head(self.forward_features(x)[:, 0])
        return out

    @classmethod
    def from_kat(cls, state: Mapping[str, Any], *, num_heads: int) -> KAT:
        """Build the model of a published KAT state dict and load it.

        Parameters
        ----------
        state : mapping
            The tensors by name, or a checkpoint that holds them under ``"state_dict"``, ``"state_dict_ema"`` or
            ``"model"``; a prefix ``module.`` is taken off. All sizes are read from their shapes.
        num_heads : int
            Of the attention: 3, 6 and 12 for the published T, S and B.

        Raises
        ------
        ValueError
            Names are missing, or left over.
        """
        if not isinstance(state, Mapping):
            raise TypeError(f"state: expected a mapping of tensors, got {type(state).__name__}")
        tensors = tensors_of(state)
        model = cls(**sizes_of(tensors), num_heads=num_heads, **rational_sizes_of(tensors))
        load(model, tensors)
        return model

    @classmethod
    def from_vit(
        cls,
        vit: nn.Module,
        *,
        keep_activations: bool = False,
        groups: int = 8,
        degree: tuple[int, int] = (5, 4),
        variant: Variant = "A",
    ) -> KAT:
        """Take over the weights of a vision transformer of timm.

        Parameters
        ----------
        vit : nn.Module
            A plain timm ``VisionTransformer``: class token, learned positions, pre-norm blocks.
        keep_activations : bool
            Whether the MLPs keep their GELU: the same function as `vit` then. Else `act1` is the
            identity and `act2` the rational fit of GELU, both ready to be trained.
        groups, degree, variant
            Of the rational functions.

        Returns
        -------
        KAT
            With copies of the weights, in the mode (training or not) of `vit`. Dropout and stochastic
            depth are not taken over.

        Raises
        ------
        ValueError
            `vit` has parameters that a KAT has not, or lacks some; or it computes something else with
            them, which one forward pass of both shows.
        """
        if not isinstance(vit, nn.Module):
            raise TypeError(f"vit: expected a module, got {type(vit).__name__}")
        tensors = tensors_of(vit.state_dict())
        sizes = sizes_of(tensors)
        blocks: Any = getattr(vit, "blocks", None)
        model = cls(
            **sizes,
            num_heads=int(blocks[0].attn.num_heads),
            groups=groups,
            degree=degree,
            variant=variant,
            init=("identity", "gelu"),
        )
        rationals = []
        for block, theirs in zip(model.blocks, blocks, strict=True):
            act = theirs.mlp.act
            if not isinstance(act, nn.GELU):
                raise ValueError(f"vit: expected GELU in its blocks, got {type(act).__name__}")
            mlp = cast(GRKANMLP, block.mlp)
            rationals.append((mlp, mlp.act1, mlp.act2))
            mlp.act1, mlp.act2 = nn.Identity(), nn.GELU(act.approximate)
        load(model, tensors)
        take_epsilons(model, vit)
        first = next(vit.parameters())
        model = model.to(first.device, first.dtype)
        check_same(model, vit)
        if not keep_activations:
            for mlp, act1, act2 in rationals:
                mlp.act1, mlp.act2 = act1, act2
        return model.to(first.device, first.dtype).train(vit.training)
