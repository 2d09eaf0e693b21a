"""Weights of published transformers: what their shapes tell, and whether they compute the same."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

if TYPE_CHECKING:
    from fourfold.kan.kat import KAT

__all__ = ["check_same", "load", "rational_sizes_of", "sizes_of", "take_epsilons", "tensors_of"]

Tensor = torch.Tensor


def take_epsilons(model: nn.Module, vit: nn.Module) -> None:
    """What layer norms add to the variance stands in no state dict."""
    theirs = dict(vit.named_modules())
    for name, norm in model.named_modules():
        if isinstance(norm, nn.LayerNorm):
            norm.eps = float(getattr(theirs.get(name), "eps", norm.eps))


@torch.no_grad()
def check_same(model: KAT, vit: nn.Module) -> None:
    """Refuse a transformer that is another function of the same weights."""
    first = next(vit.parameters())
    shape = (1, model.in_chans, model.img_size, model.img_size)
    generator = torch.Generator().manual_seed(0)
    image = torch.randn(shape, generator=generator).to(first.device, first.dtype)
    training = [module for module in vit.modules() if module.training]
    try:
        wanted = vit.eval()(image).flatten()
    finally:
        for module in training:
            module.training = True
    found = model.eval()(image).flatten()
    if found.shape != wanted.shape:
        raise ValueError(
            f"vit: expected {len(found)} numbers per image as from a KAT, got {len(wanted)}"
        )
    off = float((found - wanted).abs().max())
    allowed = torch.finfo(first.dtype).eps ** 0.5 * max(1.0, float(wanted.abs().max()))
    if not off <= allowed:
        raise ValueError(
            f"vit: it computes something else than a KAT with the same weights (off by {off:.2g}); "
            "expected a plain VisionTransformer: pre-norm blocks, class token, no extra options"
        )


def tensors_of(state: Mapping[str, Any]) -> dict[str, Tensor]:
    for key in ("state_dict_ema", "state_dict", "model"):
        if isinstance(state.get(key), Mapping):
            state = state[key]
    return {name.removeprefix("module."): value for name, value in state.items()}


def sizes_of(tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    """The arguments of `KAT` that the shapes tell."""
    needed = ("patch_embed.proj.weight", "pos_embed", "cls_token", "blocks.0.mlp.fc1.weight")
    missing = [name for name in needed if name not in tensors]
    if missing:
        raise ValueError(f"the weights of no vision transformer: {', '.join(missing)} missing")
    dim, in_chans, patch, other = tensors["patch_embed.proj.weight"].shape
    if patch != other:
        raise ValueError(f"the patches are no squares: {patch} x {other} pixels")
    tokens = tensors["pos_embed"].shape[1]
    side = math.isqrt(tokens - 1)
    if side**2 + 1 != tokens:
        raise ValueError(
            f"pos_embed: expected a class token and a square of patches, got {tokens} tokens"
        )
    blocks = {int(name.split(".")[1]) for name in tensors if name.startswith("blocks.")}
    head = tensors.get("head.weight")
    return {
        "img_size": side * patch,
        "patch_size": patch,
        "in_chans": in_chans,
        "num_classes": 0 if head is None else head.shape[0],
        "embed_dim": dim,
        "depth": len(blocks),
        "mlp_ratio": tensors["blocks.0.mlp.fc1.weight"].shape[0] / dim,
        "qkv_bias": "blocks.0.attn.qkv.bias" in tensors,
    }


def rational_sizes_of(tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    try:
        numerator = tensors["blocks.0.mlp.act1.weight_numerator"]
        denominator = tensors["blocks.0.mlp.act1.weight_denominator"]
    except KeyError as error:
        raise ValueError(f"not the weights of a KAT: {error.args[0]} missing") from None
    return {
        "groups": denominator.shape[0],
        "degree": (numerator.shape[1] - 1, denominator.shape[1]),
    }


def load(model: KAT, tensors: Mapping[str, Tensor]) -> None:
    try:
        missing, left_over = model.load_state_dict(tensors, strict=False)
    except RuntimeError as error:
        raise ValueError(f"the weights do not fit a KAT: {error}") from None
    if missing or left_over:
        raise ValueError(
            f"the weights do not fit a KAT: missing {missing or 'none'}, left over {left_over or 'none'}"
        )
