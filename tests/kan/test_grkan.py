"""Modules with rational functions: initialisation, state dicts, KAT, and rationalize as a new user would."""

from __future__ import annotations

import copy
import importlib
import io
import math
import pickle
from typing import Any

import pytest
import torch
from torch import nn

from fourfold import kan
from tests.kan.reference import PlainViT

Tensor = torch.Tensor


def test_rational_module() -> None:
    layer = kan.Rational(16, groups=4, init="gelu", dim=1)
    assert layer.weight_numerator.shape == (1, 6)
    assert layer.weight_denominator.shape == (4, 4)
    x = torch.randn(3, 16, 5)
    assert (layer(x) - nn.functional.gelu(x)).abs().max() <= layer.fit.error + 1e-6
    assert "16, groups=4, degree=(5, 4), variant='A', init='gelu', dim=1" in repr(layer)
    own = kan.Rational(16, groups=4, share_numerator=False, variant="C", degree=(3, 2))
    assert own.weight_numerator.shape == (4, 4)
    assert own.weight_denominator.shape == (4, 3)
    with torch.no_grad():
        own.weight_numerator.zero_()
    own.reset_parameters()
    assert (own(x.mT) - nn.functional.silu(x.mT)).abs().max() <= own.fit.error + 1e-6


def test_state_dicts_round_trip() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(kan.GRKANLinear(8, 16, groups=4), kan.GRKANMLP(16, 32, 4, groups=2))
    with torch.no_grad():
        for p in model.parameters():
            p.add_(torch.randn_like(p) * 0.1)
    file = io.BytesIO()
    torch.save(model.state_dict(), file)
    file.seek(0)
    other = nn.Sequential(kan.GRKANLinear(8, 16, groups=4), kan.GRKANMLP(16, 32, 4, groups=2))
    other.load_state_dict(torch.load(file, weights_only=True))
    x = torch.randn(5, 8)
    assert torch.equal(model(x), other(x))
    assert torch.equal(copy.deepcopy(model)(x), model(x))
    assert torch.equal(pickle.loads(pickle.dumps(model))(x), model(x))


def test_low_precision_model_trains() -> None:
    model = kan.GRKANMLP(16, 32, 16).bfloat16()
    out = model(torch.randn(4, 16, dtype=torch.bfloat16))
    assert out.dtype == torch.bfloat16
    out.float().square().mean().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
    assert kan.Rational(8, dtype=torch.float64).weight_numerator.dtype == torch.float64


@pytest.mark.parametrize("init", ["identity", "silu", "gelu", "relu"])
def test_initialisation_preserves_variance(init: str) -> None:
    torch.manual_seed(1)
    layer = kan.GRKANLinear(384, 384, init=init)
    with torch.no_grad():
        out = layer(torch.randn(2000, 384))
    assert float(out.square().mean()) == pytest.approx(1, rel=0.1)
    assert not layer.linear.bias.any()


def test_variance_through_blocks() -> None:
    """Twelve blocks; a gain that is wrong by 1.4 would be off by a factor of 57."""
    torch.manual_seed(2)
    logs = []
    for _ in range(3):
        x = torch.randn(64, 384)
        with torch.no_grad():
            for _ in range(12):
                x = kan.GRKANMLP(384, 1536)(x)
        logs.append(math.log(float(x.square().mean())))
    assert 0.5 < math.exp(sum(logs) / len(logs)) < 2


SMALL: dict[str, Any] = {
    "img_size": 16,
    "patch_size": 4,
    "embed_dim": 32,
    "depth": 2,
    "num_heads": 4,
}


def test_kat_sizes() -> None:
    """Parameters: the vision transformer's, and 2 x (6 + 32) coefficients a block."""
    with torch.device("meta"):
        for build, parameters in ((kan.KAT.tiny, 5_717_416), (kan.KAT.small, 22_050_664)):
            model = build()
            assert sum(p.numel() for p in model.parameters()) == parameters + 12 * 2 * (6 + 32)
    assert len(kan.KAT.base.__doc__ or "") > 0


def test_kat_state_dict_of_the_published_names() -> None:
    torch.manual_seed(0)
    model = kan.KAT(num_classes=7, **SMALL).eval()
    state = model.state_dict()
    assert state["blocks.1.mlp.act2.weight_numerator"].shape == (1, 6)
    assert state["blocks.1.mlp.act2.weight_denominator"].shape == (8, 4)
    assert {k.rsplit(".", 1)[0] for k in state if k.startswith("blocks.0")} == {
        f"blocks.0.{part}"
        for part in (
            "norm1",
            "attn.qkv",
            "attn.proj",
            "norm2",
            "mlp.act1",
            "mlp.fc1",
            "mlp.act2",
            "mlp.fc2",
        )
    }
    with torch.no_grad():
        for value in state.values():
            value.add_(0.1 * torch.randn_like(value))
    published = {"state_dict": {f"module.{name}": value for name, value in state.items()}}
    again = kan.KAT.from_kat(published, num_heads=4).eval()
    images = torch.randn(2, 3, 16, 16)
    assert torch.equal(again(images), model(images))
    broken = dict(state)
    del broken["norm.weight"]
    broken["extra"] = torch.zeros(1)
    with pytest.raises(ValueError, match=r"missing \['norm.weight'\], left over \['extra'\]"):
        kan.KAT.from_kat(broken, num_heads=4)
    with pytest.raises(ValueError, match="no vision transformer: patch_embed"):
        kan.KAT.from_kat({"a": torch.zeros(1)}, num_heads=4)


def scaled(vit: nn.Module) -> nn.Module:
    """Give a freshly made model weights at which its blocks do something."""
    with torch.no_grad():
        for p in vit.parameters():
            p.add_(0.1 * torch.randn_like(p))
    return vit.eval()


def check_from_vit(vit: nn.Module, images: Tensor) -> None:
    with torch.no_grad():
        logits = vit(images)
        kept = kan.KAT.from_vit(vit, keep_activations=True)
        torch.testing.assert_close(kept(images), logits, rtol=0, atol=1e-5)
        # What one activation is off by, through the second linear map, to first order in every block.
        fitted = kan.KAT.from_vit(vit)
        off = (fitted(images) - logits).abs().max()
        seen = []
        for block in fitted.blocks:
            hooked: Any = block.mlp
            hooked.act2.register_forward_hook(
                lambda m, given, out: seen.append((out - nn.functional.gelu(given[0])).abs().max())
            )
        fitted(images)
        act: Any = fitted.blocks[0].mlp.act2  # type: ignore[union-attr]
        assert max(seen) <= act.fit.error + 1e-6
        assert 0 < off < 0.1


def test_from_a_vision_transformer() -> None:
    torch.manual_seed(3)
    vit = PlainViT(16, 4, 32, 2, 4, 5).eval()
    check_from_vit(vit, torch.randn(2, 3, 16, 16))
    for norm in vit.modules():
        if isinstance(norm, nn.LayerNorm):
            norm.eps = 1e-3
    check_from_vit(vit, torch.randn(2, 3, 16, 16))
    # A function that its weights do not tell.
    vit.register_forward_hook(lambda module, given, logits: logits * 1.01)
    with pytest.raises(ValueError, match="computes something else than a KAT"):
        kan.KAT.from_vit(vit)
    vit._forward_hooks.clear()
    vit.extra = nn.Parameter(torch.zeros(2))
    with pytest.raises(ValueError, match="left over"):
        kan.KAT.from_vit(vit)


def timm_transformer() -> Any:
    """timm's class. timm imports torchvision, whose operators are compiled for another build of torch."""
    name = "timm.models.vision_transformer"
    try:
        return importlib.import_module(name).VisionTransformer
    except ImportError as error:
        pytest.skip(f"timm cannot be imported: {error}")
    except RuntimeError:
        # Nobody calls them here: it is enough that they have a schema.
        library: Any = torch.library.Library("torchvision", "DEF")  # type: ignore[no-untyped-call]
        for operator in ("nms", "qnms"):
            library.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        OPERATORS.append(library)  # alive for as long as the tests
    return importlib.import_module(name).VisionTransformer


OPERATORS: list[Any] = []
TIMM: dict[str, Any] = {
    "img_size": 32,
    "patch_size": 8,
    "embed_dim": 64,
    "depth": 3,
    "num_heads": 4,
}


@pytest.mark.filterwarnings("ignore")  # of timm and torchvision
def test_from_timm() -> None:
    transformer = timm_transformer()
    torch.manual_seed(4)
    images = torch.randn(2, 3, 32, 32)
    accepted: list[dict[str, Any]] = [
        {},
        {"qkv_bias": False, "mlp_ratio": 2.5},
        {"norm_layer": nn.LayerNorm},  # another epsilon
        {"drop_path_rate": 0.2, "proj_drop_rate": 0.1, "attn_drop_rate": 0.1},
    ]
    for options in accepted:
        check_from_vit(scaled(transformer(**TIMM, num_classes=10, **options)), images)
    training: Any = scaled(transformer(**TIMM, num_classes=0)).train()
    assert kan.KAT.from_vit(training).training
    assert training.training
    assert training.blocks[0].attn.training
    blocks = importlib.import_module("timm.models.vision_transformer")
    refused: list[tuple[dict[str, Any], str]] = [
        ({"init_values": 1e-2}, "left over .*ls1.gamma"),
        ({"qk_norm": True}, "left over .*q_norm"),
        ({"global_pool": "avg"}, "left over .*fc_norm"),
        ({"class_token": False, "global_pool": "avg"}, "cls_token missing"),
        ({"reg_tokens": 4}, "expected a class token and a square of patches, got 21 tokens"),
        ({"no_embed_class": True}, "expected a class token and a square of patches, got 16"),
        ({"img_size": (32, 48)}, "got 25 tokens"),
        ({"patch_size": (8, 4)}, "the patches are no squares: 8 x 4"),
        ({"block_fn": blocks.ResPostBlock}, "computes something else than a KAT"),
        ({"block_fn": blocks.ParallelScalingBlock}, "mlp.fc1.weight missing"),
        ({"act_layer": nn.SiLU}, "expected GELU in its blocks, got SiLU"),
    ]
    for options, message in refused:
        with pytest.raises(ValueError, match=message):
            kan.KAT.from_vit(scaled(transformer(**(TIMM | options))))


def digits() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    datasets = pytest.importorskip("sklearn.datasets")
    data, target = datasets.load_digits(return_X_y=True)
    x = torch.tensor(data, dtype=torch.float32).reshape(-1, 1, 8, 8) / 8 - 1
    y = torch.tensor(target)
    order = torch.randperm(len(y), generator=torch.Generator().manual_seed(0))
    x, y = x[order], y[order]
    return x[:1400], y[:1400], x[1400:], y[1400:]


def convolutional() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(8, 16, 3, padding=1),
        nn.GELU(),
        nn.Flatten(),
        nn.Linear(256, 10),
    )


def train(model: nn.Module, x: Tensor, y: Tensor, epochs: int) -> None:
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    for _ in range(epochs):
        for index in torch.randperm(len(y)).split(70):  # type: ignore[no-untyped-call]
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(x[index]), y[index]).backward()  # type: ignore[no-untyped-call]
            optimizer.step()


def test_rationalize_a_convolutional_network() -> None:
    """Train, replace, compare, train on, compile."""
    torch.manual_seed(5)
    x, y, x_test, y_test = digits()
    model = convolutional()
    train(model, x, y, 3)
    with torch.no_grad():
        before = model(x_test)
        hidden = model[0](x_test)
    same = kan.rationalize(model, groups=4, dim=1)
    assert same is model
    assert [type(m).__name__ for m in model] == [
        "Conv2d",
        "Rational",
        "MaxPool2d",
        "Conv2d",
        "Rational",
        "Flatten",
        "Linear",
    ]
    with torch.no_grad():
        first = model[1]
        assert isinstance(first, kan.Rational)
        assert (first(hidden) - hidden.relu()).abs().max() <= first.fit.error + 1e-6
        assert (model(x_test).argmax(1) == before.argmax(1)).float().mean() > 0.96
    start = [p.detach().clone() for p in model[1].parameters()]
    train(model, x, y, 3)
    assert all(not torch.equal(p, q) for p, q in zip(start, model[1].parameters(), strict=True))
    with torch.no_grad():
        accuracy = (model(x_test).argmax(1) == y_test).float().mean()
        assert accuracy > 0.93
        compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
        torch.testing.assert_close(compiled(x_test), model(x_test))


def test_rationalize_details() -> None:
    shared = nn.ReLU()
    model = nn.ModuleDict(
        {"a": nn.Sequential(shared, nn.Linear(2, 2)), "b": shared, "c": nn.Tanh()}
    )
    model.double().eval()
    kan.rationalize(model)
    replaced = model["a"][0]  # type: ignore[index]
    assert replaced is model["b"]
    assert isinstance(model["c"], nn.Tanh)
    assert replaced.weight_numerator.dtype == torch.float64
    assert not replaced.training
    kan.rationalize(model, (nn.Tanh,), interval=(-4.0, 4.0))
    x = torch.linspace(-4, 4, 100).double()
    assert (model["c"](x) - x.tanh()).abs().max() < 1e-4
    alone = kan.rationalize(nn.Softplus(), (nn.Softplus,))
    assert isinstance(alone, kan.Rational)
    with pytest.raises(
        ValueError, match="at least one module of GELU, SiLU, ReLU, Linear has none"
    ):
        kan.rationalize(nn.Linear(2, 2))
    with pytest.raises(ValueError, match="without parameters, PReLU has some"):
        kan.rationalize(nn.Sequential(nn.PReLU()), (nn.PReLU,))


ANY: Any = kan  # for calls that its types refuse, too


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: kan.Rational(12), ValueError, "channels: expected a multiple of 8 groups, got 12"),
        (lambda: kan.Rational(12, groups=0), ValueError, "groups: expected at least 1, got 0"),
        (lambda: ANY.Rational(12, groups=1.5), TypeError, "groups: expected an integer, got 1.5"),
        (lambda: ANY.Rational(8, implementation="c"), ValueError, "implementation: expected"),
        (lambda: kan.Rational(8)([1.0]), TypeError, "x: expected a torch tensor, got list"),
        (lambda: kan.Rational(8, dim=2)(torch.ones(8)), ValueError, "channels in dimension 2"),
        (lambda: kan.GRKANMLP(8, 0), ValueError, "hidden_features: expected at least 1, got 0"),
        (lambda: ANY.GRKANMLP(8, init="silu"), TypeError, "init: expected a tuple of two"),
        (lambda: kan.GRKANLinear(8, -1), ValueError, "out_features: expected at least 1, got -1"),
        (lambda: kan.KAT(16, 0), ValueError, "patch_size: expected at least 1, got 0"),
        (lambda: kan.KAT(num_heads=0), ValueError, "num_heads: expected at least 1, got 0"),
        (lambda: kan.KAT(num_classes=-1), ValueError, "num_classes: expected at least 0, got -1"),
        (lambda: ANY.KAT.from_vit(None), TypeError, "vit: expected a module, got NoneType"),
        (lambda: ANY.KAT.from_kat(3, num_heads=1), TypeError, "state: expected a mapping"),
        (lambda: kan.GRKANLinear(9, 4), ValueError, "in_features: expected a multiple of 8"),
        (lambda: kan.GRKANMLP(8, 12), ValueError, "hidden_features: expected a multiple of 8"),
        (lambda: ANY.Rational(8, dim="last"), TypeError, "dim: expected an integer, got 'last'"),
        (lambda: ANY.KATBlock(8, 2, "4"), ValueError, "mlp_ratio: expected a positive number"),
        (lambda: kan.KANLinear(3, 2)(torch.ones(1, 3).double()), TypeError, "float32 as the layer"),
        (lambda: kan.KANConv2d(3, 2, 3)(torch.ones(1, 3, 5, 5).long()), TypeError, "got torch.int"),
        (lambda: ANY.select("model"), TypeError, "model: expected a module, got str"),
        (lambda: ANY.KAN(None), ValueError, "widths: expected two or more numbers of nodes"),
        (lambda: ANY.rationalize(None), TypeError, "model: expected a module, got NoneType"),
        (lambda: ANY.rationalize(nn.ReLU(), ("relu",)), TypeError, "targets: expected classes"),
        (lambda: kan.rationalize(nn.Softmax(-1), nn.Softmax), ValueError, "element by itself"),
    ],
)
def test_bad_arguments(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()


def test_refusals() -> None:
    with pytest.raises(ValueError, match=r"init: expected one of identity, .* got 'geluu'"):
        kan.Rational(16, init="geluu")
    with pytest.raises(TypeError, match="init: expected a name, a function or a fit, got list"):
        kan.Rational(16, init=["gelu"])  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"init: expected a fit of degree \(5, 4\) and variant A"):
        kan.Rational(16, init=kan.fit_rational("silu", (3, 2)))
    with pytest.raises(
        ValueError, match=r"x: expected 16 channels in dimension -1, got shape \(2, 8\)"
    ):
        kan.Rational(16)(torch.randn(2, 8))
    with pytest.raises(ValueError, match=r"img_size: expected a multiple of 4, got 18"):
        kan.KAT(**(SMALL | {"img_size": 18}))
    with pytest.raises(
        ValueError, match=r"x: expected shape \(batch, 3, 16, 16\), got \(2, 3, 8, 8\)"
    ):
        kan.KAT(**SMALL)(torch.randn(2, 3, 8, 8))
    vit = PlainViT(16, 4, 32, 1, 4, 5)
    vit.blocks[0].mlp.act = nn.ReLU()  # type: ignore[union-attr]
    with pytest.raises(ValueError, match="expected GELU in its blocks, got ReLU"):
        kan.KAT.from_vit(vit)
