"""Meta label correction (Zheng et al., AAAI 2021, arXiv 1911.03809): labels from image and label.

A label network takes the classifier's features of an image and an embedding of its given label, and
writes the soft label that the classifier is trained on. It is moved so that the classifier's next
step lowers the loss on clean images. With `steps` above 1 the slopes of several steps are added up,
earlier ones discounted by gamma, before it moves once.

As in the official code (microsoft/MLC, MIT licence, consulted only): the look-ahead is the
optimiser's own step, momentum and weight decay included; the classifier learns from the labels of
the old label network; features carry no gradient. `train_on_clean: true`, the official code's
default, learns from half of every clean batch by its labels, in proportion to the numbers of
images, and looks ahead to the other half. `skip: true` is a link from the given label, which
Clothing1M needs (issue 6): an output more, whose sigmoid is that label's weight.

Differences from the official code: its look-ahead rate is ten times too small in two epochs, and on
PyTorch from 1.10 on its gradient is wrong; here both are right, the meta-gradient is exact, and
passes over the look-ahead images leave BatchNorm's statistics alone. gamma is computed only where
it is used. With the protocol's Adam the look-ahead is a plain step. Fair track: without the clean
half. In a run of some hundred updates (published: 59,000) the few clean images are soon learned by
heart, after which nothing is left to look ahead to; with the link the labels soon are the given
ones there.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from methods.base import Batch, Method, register
from methods.declaration import Declaration, Hyperparameters, LogUniform, Privileges, hparam
from methods.lookahead import LookAhead
from methods.lookahead.network import features_of, momentum_and_decay


class Hparams(Hyperparameters):
    # Adam on the label network: that of the published CIFAR runs.
    lr: float = hparam(3e-4, gt=0, le=1, search=LogUniform(1e-6, 1e-2))
    hidden: int = hparam(128, ge=1, le=100_000)  # units of its hidden layers
    embedding: int = hparam(64, ge=1, le=100_000)  # of a given label
    steps: int = hparam(1, ge=1, le=1000)  # of the classifier to one of the label network
    train_on_clean: bool = hparam(False)  # on half of every clean batch
    skip: bool = hparam(False)  # link from the given label to the soft one


DECLARATION = Declaration(
    "mlc",
    "MLC",
    Hparams,
    Privileges.CLEAN_SUBSET,
    paper={"train_on_clean": True},
    cost=3.7,
    family="meta-learning",
)


class LabelNet(nn.Module):
    """Features (B, d) and given labels (B,) -> soft labels (B, C)."""

    def __init__(self, width: int, classes: int, embedding: int, hidden: int, skip: bool) -> None:
        super().__init__()
        self.classes, self.skip = classes, skip
        self.cls_emb = nn.Embedding(classes, embedding)
        self.net = nn.Sequential(
            *(nn.Linear(width + embedding, hidden), nn.Tanh()),
            *(nn.Linear(hidden, hidden), nn.Tanh()),
            nn.Linear(hidden, classes + skip),
        )
        nn.init.xavier_uniform_(self.cls_emb.weight)
        for layer in self.net[::2]:
            nn.init.xavier_normal_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, features: Tensor, labels: Tensor) -> Tensor:
        outputs = self.net(torch.cat([features, self.cls_emb(labels)], 1))
        soft_labels = outputs[:, : self.classes].softmax(1)
        if not self.skip:
            return soft_labels
        given = F.one_hot(labels, self.classes).to(soft_labels.dtype)
        return soft_labels.lerp(given, outputs[:, self.classes :].sigmoid().to(given.dtype))


@register(DECLARATION)
class MLC(Method):
    """Each step moves the label network by a look-ahead, and the classifier by its labels."""

    def __init__(self, task, hparams, rng, new_network) -> None:
        super().__init__(task, hparams, rng, new_network)
        sizes = (task.classes, hparams.embedding, hparams.hidden, hparams.skip)
        label_net = LabelNet(self.network.feature_width, *sizes)
        self.label_net = label_net.to(task.noisy_labels.device)
        self.label_optimizer = torch.optim.Adam(
            self.label_net.parameters(), hparams.lr, amsgrad=True
        )
        self.taken = 0
        self.earlier: list[Tensor] = []  # discounted slopes since the label network's last step

    def step(self, batch: Batch) -> dict[str, Tensor]:
        ahead, own = self.parts(self.task.clean_batch(augment=True))
        with features_of(self.network) as kept:
            look = LookAhead(self.network, batch.images)
        soft_labels = self.label_net(kept[-1], batch.labels)
        loss, share = self.inner_loss(look.logits, soft_labels.detach(), own)
        slopes = self.label_slopes(look, loss, share, soft_labels, ahead)
        self.move_labels(slopes, look, ahead)
        self.optimizer.zero_grad(set_to_none=True)
        for name, gradient in look.gradient.items():  # that of the loss on the old labels
            self.network.get_parameter(name).grad = gradient
        self.optimizer.step()
        return {"loss": loss.detach(), "clean_loss": look.clean_loss}

    def parts(self, clean: Batch) -> tuple[Batch, Batch | None]:
        """Clean images to look ahead to, and those to learn from."""
        half = len(clean.labels) // 2
        if not self.hparams.train_on_clean or half < 2:  # BatchNorm needs two
            return clean, None
        first, second = [t[:half] for t in clean[:3]], [t[half:] for t in clean[:3]]
        return Batch(*first), Batch(*second)

    def inner_loss(
        self, logits: Tensor, soft_labels: Tensor, own: Batch | None
    ) -> tuple[Tensor, float]:
        """Mean loss over noisy and clean images, and the share of the noisy ones in it."""
        loss = F.cross_entropy(logits, soft_labels)
        if own is None:
            return loss, 1.0
        share = len(logits) / (len(logits) + len(own.labels))
        clean_loss = F.cross_entropy(self.network(own.images), own.labels)
        return share * loss + (1 - share) * clean_loss, share

    def label_slopes(
        self, look: LookAhead, loss: Tensor, share: float, soft_labels: Tensor, ahead: Batch
    ) -> tuple[Tensor, ...]:
        """Slopes of the clean loss one step ahead in the parameters of the label network."""
        rate = self.optimizer.param_groups[0]["lr"]
        beside = momentum_and_decay(self.optimizer, self.network)
        tangent = look.tangent(loss, rate, ahead.images, ahead.labels, beside)
        p = look.logits.detach().softmax(1)
        log_tangent = tangent - (p * tangent).sum(1, keepdim=True)  # that of log p
        surrogate = rate * share * (soft_labels * log_tangent).sum(1).mean()
        return torch.autograd.grad(surrogate, tuple(self.label_net.parameters()))

    def move_labels(self, slopes: Sequence[Tensor], look: LookAhead, ahead: Batch) -> None:
        """Adds the discounted earlier slopes; every `steps` steps the label network moves."""
        if self.earlier:
            gamma = self.discount(look, ahead)
            slopes = [s + gamma * e for s, e in zip(slopes, self.earlier, strict=True)]
        self.taken, self.earlier = self.taken + 1, list(slopes)
        for parameter, slope in zip(self.label_net.parameters(), slopes, strict=True):
            parameter.grad = slope
        if self.taken % self.hparams.steps == 0:
            self.label_optimizer.step()
            self.earlier = []

    def discount(self, look: LookAhead, ahead: Batch) -> Tensor:
        """gamma = (1 - rate) <g, g0> / |g0|^2 with the Hessian taken to be the identity.

        g and g0 are the slopes of the clean loss after and before the step.
        """
        theta = {n: p for n, p in self.network.named_parameters() if p.requires_grad}
        _, first = look.clean_slope(theta, ahead.images, ahead.labels)
        pairs = [(look.direction[name], g0) for name, g0 in first.items()]
        along = sum((g * g0).sum() for g, g0 in pairs)
        size = sum(g0.square().sum() for _, g0 in pairs)
        return (1 - self.optimizer.param_groups[0]["lr"]) * along / size

    def corrected_labels(self) -> Tensor:
        """Soft labels of all training images by the networks as they are."""
        was_training = self.network.training
        self.network.eval()
        with torch.no_grad():
            seen = ((self.network.features(b.images), b.labels) for b in self.task.train_in_order())
            found = torch.cat([self.label_net(*pair) for pair in seen])
        self.network.train(was_training)
        return found
