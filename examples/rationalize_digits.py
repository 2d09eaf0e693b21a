"""A convolutional network whose activations are learnt: trained with ReLU, made rational, trained on.

Both halves of the training see the same images for as many epochs, so a second network goes through them with its ReLUs for
comparison. The images are scikit-learn's digits, 8 x 8. (`torch.compile(network, fullgraph=True)` takes it in one piece.)

`python examples/rationalize_digits.py` writes rationalize_digits.png into the current folder: what the rational functions of the
first activation have become.
"""

from __future__ import annotations

import copy

import torch
from matplotlib.figure import Figure
from sklearn.datasets import load_digits
from torch import nn

from fourfold import kan

digits = load_digits()
torch.manual_seed(0)
order = torch.randperm(len(digits.data))
images = torch.from_numpy(digits.images).float()[order, None] / 8 - 1
labels = torch.from_numpy(digits.target)[order]
train, test = slice(0, 1400), slice(1400, None)


def fit(network: nn.Module, epochs: int) -> None:
    """AdamW without weight decay, which would pull the functions towards 0."""
    optimizer = torch.optim.AdamW(network.parameters(), lr=2e-3, weight_decay=0)
    steps = epochs * (1400 // 100)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(epochs):
        for batch in torch.randperm(1400).split(100):
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(network(images[batch]), labels[batch])
            loss.backward()
            optimizer.step()
            schedule.step()


@torch.no_grad()
def accuracy(network: nn.Module) -> float:
    """In percent, on the test images."""
    return 100 * float((network(images[test]).argmax(dim=1) == labels[test]).float().mean())


network = nn.Sequential(
    nn.Conv2d(1, 16, 3, padding=1),
    nn.ReLU(),
    nn.MaxPool2d(2),
    nn.Conv2d(16, 32, 3, padding=1),
    nn.ReLU(),
    nn.MaxPool2d(2),
    nn.Flatten(),
    nn.Linear(128, 10),
)
fit(network, 10)
print(f"with ReLU: {accuracy(network):.1f} %")

rational = kan.rationalize(copy.deepcopy(network), groups=4, dim=1)
change = (rational(images[test]) - network(images[test])).abs().max()
print(f"made rational: {accuracy(rational):.1f} %, outputs change by {change:.2f} at most")

for name, each in (("ReLU", network), ("rational", rational)):
    fit(each, 10)
    print(f"ten epochs later, {name}: {accuracy(each):.1f} %")

first = rational[1]
with torch.no_grad():
    inputs = rational[0](images[test]).movedim(1, 0).flatten(1)
figure = Figure(figsize=(7, 2.2), layout="constrained")
for group, axes in enumerate(figure.subplots(1, 4, sharey=True)):
    seen = inputs[4 * group : 4 * group + 4].flatten()
    x = torch.linspace(float(seen.quantile(0.001)), float(seen.quantile(0.999)), 200)
    with torch.no_grad():
        y = first(x.expand(16, -1).movedim(0, 1)[:, :, None])[:, 4 * group, 0]
    axes.plot(x, x.relu(), color="0.7", linewidth=3, label="ReLU")
    axes.plot(x, y, color="#0072B2", label="now")
    axes.set_title(f"channels {4 * group} to {4 * group + 3}", fontsize=9)
figure.axes[0].legend(frameon=False)
figure.savefig("rationalize_digits.png", dpi=150)
