"""Makes `tests/vectors/*.npz`: `python tests/make_vectors.py [FOLDER]`.

Inputs and expected outputs in float64, in the format that `tests/check_reference.py` reads. They
come from plain code: NumPy by definition, and double backward for the meta-gradients. Nothing of
the suite is imported.
"""

from __future__ import annotations

import sys
from collections import OrderedDict
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

VECTORS = Path(__file__).resolve().parent / "vectors"
Arrays = dict[str, np.ndarray]
GCE = {  # file name -> batch, classes, q, k
    "gce_small": (9, 3, 1.0, 0.3),
    "gce_ten_classes": (32, 10, 0.7, 0.5),
    "gce_low_q": (20, 6, 0.25, 0.8),
}
CO_TEACHING = {  # batch, classes, forget rate
    "co_teaching_nothing_forgotten": (7, 3, 0.0),
    "co_teaching_third": (10, 4, 0.3),
    "co_teaching_half": (33, 10, 0.45),
}
MW_NET = {  # batch, clean batch, inputs, hidden units, classes, hidden units of V, rate
    "mw_net_few_clean": (14, 5, 5, 7, 3, 100, 0.05),
    "mw_net_many_clean": (6, 17, 8, 4, 6, 13, 0.4),
}
METALABELNET = {  # batch, clean batch, image (C, size), filters, kernel, features, classes, rate
    "metalabelnet_few_clean": (11, 6, (3, 8), 4, 3, 6, 5, 1.0),
    "metalabelnet_many_clean": (7, 19, (1, 6), 3, 5, 9, 10, 0.3),
}


def uniform(rng: np.random.Generator, *shape: int, scale: float = 1.0) -> np.ndarray:
    """Uniform in (-scale, scale); made of plain doubles, whose stream NumPy keeps."""
    return scale * (2 * rng.random(shape) - 1)


def softmax(z: np.ndarray) -> np.ndarray:
    shifted = np.exp(z - z.max(1, keepdims=True))
    return shifted / shifted.sum(1, keepdims=True)


def gce(rng: np.random.Generator, size: int, classes: int, q: float, k: float) -> Arrays:
    labels = rng.integers(0, classes, size)
    logits = uniform(rng, size, classes, scale=3.0)
    logits[np.arange(0, size, 2), labels[::2]] += 4.0  # half of the samples are well fitted
    p = softmax(logits)
    p_y = p[np.arange(size), labels]
    losses, threshold = (1 - p_y**q) / q, (1 - k**q) / q
    kept = (losses < threshold).astype(np.float64)
    assert 0 < kept.sum() < size
    one_hot = np.eye(classes)[labels]
    made = {"logits": logits, "labels": labels, "q": q, "k": k, "plain_lq_per_sample": losses}
    made["kept_after_pruning"] = kept
    for name, weights in (("all_weights_one", np.ones(size)), ("after_pruning", kept)):
        # dL_q/dz_j = -p_y^(q-1) dp_y/dz_j, and dp_y/dz_j = p_y (1[j=y] - p_j)
        slope = -(p_y**q)[:, None] * (one_hot - p)
        made[f"truncated_mean_{name}"] = np.mean(weights * (losses - threshold))
        made[f"truncated_grad_{name}"] = weights[:, None] * slope / size
    return made


def co_teaching(rng: np.random.Generator, size: int, classes: int, forget_rate: float) -> Arrays:
    labels = rng.integers(0, classes, size)
    logits = [uniform(rng, size, classes, scale=4.0) for _ in range(2)]
    is_clean = rng.random(size) < 0.6
    rows = np.arange(size)
    keep = int((1 - forget_rate) * size)
    p = [softmax(z) for z in logits]
    losses = [-np.log(each[rows, labels]) for each in p]
    chosen = [np.argsort(each, kind="stable")[:keep] for each in losses]
    made = {"logits_1": logits[0], "logits_2": logits[1], "labels": labels, "is_clean": is_clean}
    made |= {"forget_rate": forget_rate, "num_remember": keep}
    for own, peer in ((0, 1), (1, 0)):
        learned = np.isin(rows, chosen[peer])  # what the peer chose
        slope = (p[own] - np.eye(classes)[labels]) * learned[:, None] / keep
        mean = losses[own][learned].mean()
        made |= {f"mean_loss_{own + 1}": mean, f"official_loss_{own + 1}": mean / keep}
        made[f"mean_grad_{own + 1}"] = slope
        made[f"pure_ratio_{own + 1}"] = is_clean[chosen[own]].mean()
    return made


def filled(network: nn.Module, rng: np.random.Generator) -> nn.Module:
    """`network` in float64 and train mode, all its parameters and buffers drawn from `rng`."""
    network.double().train()
    for name, tensor in network.state_dict().items():
        if name.endswith("num_batches_tracked"):
            continue
        value = uniform(rng, *tensor.shape)
        if name.endswith("running_var") or (name.startswith("bn") and name.endswith("weight")):
            value = 1 + 0.5 * value
        elif tensor.ndim > 1:
            value = value * 1.5 / np.sqrt(tensor[0].numel())
        tensor.copy_(torch.from_numpy(value))
    return network


def state(network: nn.Module, prefix: str) -> Arrays:
    return {f"{prefix}.{n}": t.detach().numpy().copy() for n, t in network.state_dict().items()}


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """(B,) by definition."""
    return -torch.log(logits.softmax(1)[torch.arange(len(labels)), labels])


def look_ahead(
    network: nn.Module,
    inner: Tensor,
    rate: float,
    clean: tuple[Tensor, Tensor],
    learner: nn.Module,
) -> tuple[dict[str, Tensor], Tensor, Arrays]:
    """theta' = theta - rate * grad inner by name, the clean loss there, its slope in `learner`.

    The graph of the inner gradient is kept, and the slope goes back through it.
    """
    names, theta = zip(*network.named_parameters(), strict=True)
    gradient = torch.autograd.grad(inner, theta, create_graph=True)
    moved = {n: t - rate * g for n, t, g in zip(names, theta, gradient, strict=True)}
    images, labels = clean
    meta_loss = cross_entropy(torch.func.functional_call(network, moved, (images,)), labels).mean()
    phi = dict(learner.named_parameters())
    slopes = torch.autograd.grad(meta_loss, tuple(phi.values()))
    by_name = {name: slope.numpy() for name, slope in zip(phi, slopes, strict=True)}
    return {n: t.detach() for n, t in moved.items()}, meta_loss.detach(), by_name


def grads(loss: Tensor, network: nn.Module, prefix: str) -> Arrays:
    names, theta = zip(*network.named_parameters(), strict=True)
    found = torch.autograd.grad(loss, theta)
    return {f"{prefix}.{n}": g.numpy() for n, g in zip(names, found, strict=True)}


def mw_net(
    rng: np.random.Generator,
    size: int,
    clean: int,
    inputs: int,
    hidden: int,
    classes: int,
    v_hidden: int,
    rate: float,
) -> Arrays:
    layers = OrderedDict(l1=nn.Linear(inputs, hidden), t=nn.Tanh(), l2=nn.Linear(hidden, classes))
    v_layers = OrderedDict(linear1=nn.Linear(1, v_hidden), r=nn.ReLU())
    v_layers |= OrderedDict(linear2=nn.Linear(v_hidden, 1), s=nn.Sigmoid())
    network, vnet = filled(nn.Sequential(layers), rng), filled(nn.Sequential(v_layers), rng)
    made = {"x": uniform(rng, size, inputs, scale=2.0), "y": rng.integers(0, classes, size)}
    made |= {"x_meta": uniform(rng, clean, inputs, scale=2.0)}
    made |= {"y_meta": rng.integers(0, classes, clean), "inner_lr": np.float64(rate)}
    made |= state(network, "net") | state(vnet, "vnet")
    x, y, x_meta, y_meta = (torch.from_numpy(made[n]) for n in ("x", "y", "x_meta", "y_meta"))

    def inner_loss(logits: Tensor) -> Tensor:
        losses = cross_entropy(logits, y)
        return (vnet(losses.detach()[:, None])[:, 0] * losses).mean()

    logits = network(x)
    losses = cross_entropy(logits, y)
    made |= {"losses": losses.detach().numpy(), "inner_loss": inner_loss(logits).item()}
    made["weights"] = vnet(losses.detach()[:, None])[:, 0].detach().numpy()
    clean_batch = (x_meta, y_meta)
    moved, meta_loss, slopes = look_ahead(network, inner_loss(logits), rate, clean_batch, vnet)
    made |= {f"lookahead.{n}": t.numpy() for n, t in moved.items()} | {"meta_loss": meta_loss}
    return made | {f"vnet_grad.{name}": slope for name, slope in slopes.items()}


def convolutional(
    image: tuple[int, int], filters: int, kernel: int, width: int, classes: int
) -> nn.Sequential:
    channels, size = image
    parts = OrderedDict(conv=nn.Conv2d(channels, filters, kernel, padding=kernel // 2))
    parts |= OrderedDict(bn=nn.BatchNorm2d(filters), relu=nn.ReLU(), pool=nn.MaxPool2d(2))
    parts |= OrderedDict(flat=nn.Flatten(), fc1=nn.Linear(filters * (size // 2) ** 2, width))
    parts |= OrderedDict(bn1=nn.BatchNorm1d(width), relu1=nn.ReLU(), fc2=nn.Linear(width, classes))
    return nn.Sequential(parts)


def metalabelnet(
    rng: np.random.Generator,
    size: int,
    clean: int,
    image: tuple[int, int],
    filters: int,
    kernel: int,
    width: int,
    classes: int,
    rate: float,
) -> Arrays:
    shape = (image[0], image[1], image[1])
    network, encoder = (
        filled(convolutional(image, filters, kernel, width, classes), rng) for _ in range(2)
    )
    slp = filled(nn.Linear(width, classes), rng)
    made = {"x": uniform(rng, size, *shape), "x_meta": uniform(rng, clean, *shape)}
    made |= {"y_meta": rng.integers(0, classes, clean), "inner_lr": np.float64(rate)}
    made |= state(network, "net") | state(encoder, "encoder") | state(slp, "slp")
    x, x_meta, y_meta = (torch.from_numpy(made[n]) for n in ("x", "x_meta", "y_meta"))
    features = encoder.eval()[:-1](x).detach()

    def inner_loss(logits: Tensor) -> Tensor:
        p, labels = logits.softmax(1), slp(features).softmax(1)
        return (p * (p.log() - (labels + 1e-10).log())).sum() / (size * classes)

    logits = network(x)
    p = logits.softmax(1)
    entropy = -(p * p.log()).sum() / (size * classes)
    made |= {"features": features.numpy(), "logits": logits.detach().numpy()}
    made["soft_labels"] = slp(features).softmax(1).detach().numpy()
    made |= {"inner_loss": inner_loss(logits).item(), "entropy_loss": entropy.item()}
    clean_batch = (x_meta, y_meta)
    _, made["meta_loss"], slopes = look_ahead(network, inner_loss(logits), rate, clean_batch, slp)
    made |= grads(inner_loss(logits) + entropy, network, "net_grad")
    return made | {f"slp_grad.{name}": slope for name, slope in slopes.items()}


def main(folder: Path) -> None:
    """Writes all files into `folder`, each from a random stream of its own number."""
    folder.mkdir(parents=True, exist_ok=True)
    groups = ((gce, GCE), (co_teaching, CO_TEACHING), (mw_net, MW_NET))
    jobs = [
        (make, name, sizes)
        for make, files in (*groups, (metalabelnet, METALABELNET))
        for name, sizes in files.items()
    ]
    for number, (make, name, sizes) in enumerate(jobs):
        rng = np.random.Generator(np.random.PCG64(number))
        np.savez_compressed(folder / f"{name}.npz", **make(rng, *sizes))


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else VECTORS)
