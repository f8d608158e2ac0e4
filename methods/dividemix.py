"""DivideMix (Li et al., ICLR 2020, arXiv 2002.07394): noisy labels as semi-supervised learning.

After a warm-up, before every epoch each of two networks fits a mixture of two normal distributions
to its losses of the training samples; w is the posterior of the lower one. Samples with w above
`p_threshold` are labelled, of the others the label is dropped. Each network learns from the other's
division by MixMatch: labels of labelled images are w of the given and 1 - w of its own predictions,
those of the others the mean predictions of both networks, all sharpened; mixtures of all of them
enter L_x + lambda_u(t) L_u + the divergence of the mean prediction from the uniform one.

As in the official code (LiJunnan1992/DivideMix, MIT, consulted only) losses are scaled to [0, 1],
the network that learns predicts in training mode and its fellow in evaluation mode, and one
mixture share, the larger one its own image's, serves a whole batch. `average_epochs: 5` is the
code's for a noise rate of 0.9, `entropy_penalty` its warm-up for asymmetric noise.

Differences: optimiser, schedule and number of updates are the protocol's: a step is one labelled
and one unlabelled batch for each network, and both networks move at its end, where the code trains
them in turn for an epoch whose length is that of the labelled set. Warm-up and ramp of lambda_u are
shares of the epochs (paper: 10 and 16 of 300). Seeds of k-means are the cell's own (the code's are
not set). Where a division would leave one side empty, the half of the samples with the smaller
losses is labelled. Network 0 is reported, the mean of both beside it (the paper adds their logits).
Without augmentation (the mini set) DivideMix's two views of an image are equal: guesses are those
of one view, and only the mixing is left of MixMatch.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from methods.base import (
    Batch,
    Method,
    epochs_of_share,
    outputs_in_order,
    register,
    uploaded,
)
from methods.declaration import Choice, Declaration, Hyperparameters, LogUniform, Uniform, hparam
from methods.mixup import draws_for_two, mixed
from methods.semi_supervised import (
    class_balance,
    fit_mixture,
    linear_ramp,
    lower_component,
    mean_prediction,
    negative_entropy,
    normalised,
    refined,
    sharpened,
    squared_error,
)


class Hparams(Hyperparameters):
    # CIFAR-10; 30 of 300 epochs for CIFAR-100.
    warmup: float = hparam(10 / 300, gt=0, le=1)
    entropy_penalty: bool = hparam(False)
    # 0.6 at rate 0.9, says the author.
    p_threshold: float = hparam(0.5, gt=0, lt=1, search=Uniform(0.3, 0.7))
    temperature: float = hparam(0.5, gt=0, le=1)  # T
    # Of mixup; 0.5 for Clothing1M and WebVision.
    alpha: float = hparam(4.0, gt=0, le=1000, search=LogUniform(0.5, 10))
    # Must be tuned for each noise: 0 for CIFAR-10 at 20 %, 150 for CIFAR-100 at 90 %.
    lambda_u: float = hparam(25.0, ge=0, le=1e4, search=Choice((0.0, 5.0, 25.0, 50.0, 150.0)))
    ramp: float = hparam(16 / 300, gt=0, le=1)  # of lambda_u, a share of the epochs
    average_epochs: int = hparam(1, ge=1, le=10)  # whose losses are averaged before the fit


DECLARATION = Declaration(
    "dividemix", "DivideMix", Hparams, cost=12.7, views=("weak", "weak"), family="semi-supervised"
)


@register(DECLARATION)
class DivideMix(Method):
    """Two networks that divide the training set for each other."""

    def __init__(self, task, hparams, rng, new_network) -> None:
        super().__init__(task, hparams, rng, new_network)
        self.peer = new_network()
        self.optimizer = task.make_optimizer([*self.network.parameters(), *self.peer.parameters()])
        self.labelled = [task.sampler(f"labelled_{k}") for k in range(2)]
        self.unlabelled = [task.sampler(f"unlabelled_{k}") for k in range(2)]
        self.warmup_epochs = epochs_of_share(hparams.warmup, task.epochs)
        self.ramp_epochs = hparams.ramp * task.epochs
        self.epoch = self.taken = 0
        # Of each network: w and its losses in the last epochs; of both, what they predict.
        like = {"device": task.noisy_labels.device}
        self.register_buffer("clean", torch.ones(2, task.n_train, **like))
        history = torch.zeros(2, hparams.average_epochs, task.n_train, **like)
        self.register_buffer("losses", history)
        self.register_buffer("predicted", torch.zeros(task.n_train, task.classes, **like))

    @property
    def both(self) -> tuple[nn.Module, nn.Module]:
        return self.network, self.peer

    def begin_epoch(self, epoch: int) -> None:
        super().begin_epoch(epoch)
        self.epoch, self.taken = epoch, 0
        if epoch < self.warmup_epochs:
            return
        self.divide()
        size = 2 * (self.labelled[0].size + self.unlabelled[0].size)
        steps, alpha = self.task.steps_per_epoch, self.hparams.alpha
        self.shares, keys = draws_for_two(self.rng, alpha, steps, size)
        self.keys = uploaded(keys, self.clean.device)

    def divide(self) -> None:
        """Fits a mixture to the losses of each network, and says what the other one learns from."""
        outputs = [outputs_in_order(network, self.task) for network in self.both]
        self.predicted.copy_(mean_prediction(outputs))
        given = self.task.noisy_labels
        losses = [normalised(F.cross_entropy(each, given, reduction="none")) for each in outputs]
        self.losses.copy_(torch.cat([self.losses[:, 1:], torch.stack(losses).unsqueeze(1)], 1))
        means = self.mean_losses().cpu().double()  # the only wait for the device
        for k, own in enumerate(means):
            mixture = fit_mixture(own.numpy(), seed=int(self.rng.integers(2**31)))
            clean = torch.from_numpy(lower_component(mixture, own.numpy()))
            self.clean[k] = uploaded(clean.to(self.clean.dtype), self.clean.device)
            chosen = self.chosen(clean, own)
            self.labelled[1 - k].choose(chosen)
            self.unlabelled[1 - k].choose(~chosen)

    def mean_losses(self) -> Tensor:
        """(2, n) losses of both networks, means of the last divisions."""
        divisions = self.epoch - self.warmup_epochs + 1
        return self.losses[:, -min(divisions, self.hparams.average_epochs) :].mean(1)

    def chosen(self, clean: Tensor, losses: Tensor) -> Tensor:
        """(n,) bool: who is labelled; the half with the smaller losses if one side is empty."""
        labelled = clean > self.hparams.p_threshold
        if labelled.any() and not labelled.all():
            return labelled
        return losses.argsort(stable=True).argsort() < len(losses) // 2

    def step(self, batch: Batch) -> dict[str, Tensor]:
        semi_supervised = self.epoch >= self.warmup_epochs
        self.optimizer.zero_grad(set_to_none=True)
        found = []
        for k, network in enumerate(self.both):
            loss = self.mixmatch_loss(k) if semi_supervised else self.warmup_loss(network, batch)
            loss.backward()
            found.append(loss.detach())
        self.optimizer.step()
        self.taken += 1
        return {"loss": found[0], "peer_loss": found[1]}

    def warmup_loss(self, network: nn.Module, batch: Batch) -> Tensor:
        logits = network(batch.images)
        loss = F.cross_entropy(logits, batch.labels)
        return loss + negative_entropy(logits) if self.hparams.entropy_penalty else loss

    def mixmatch_loss(self, k: int) -> Tensor:
        """Loss of network k on its next labelled and unlabelled batch."""
        labelled, unlabelled = self.labelled[k].next(), self.unlabelled[k].next()
        trust = self.clean[1 - k][labelled.index]
        targets = self.targets(k, labelled, unlabelled, trust)
        images = torch.cat([*labelled.views, *unlabelled.views])
        mixing = self.shares[k][self.taken], self.keys[k, self.taken].argsort()
        logits, targets = self.both[k](mixed(images, *mixing)), mixed(targets, *mixing)
        return self.semi_loss(logits, targets, 2 * len(labelled.labels), self.weight())

    @torch.no_grad()
    def targets(self, k: int, labelled: Batch, unlabelled: Batch, trust: Tensor) -> Tensor:
        """(4 B, C) sharpened targets of network k: both views of both batches, labelled first."""
        network, other = self.both[k], self.both[1 - k]
        guesses = [network(view) for view in unlabelled.views]
        other.eval()
        guesses += [other(view) for view in unlabelled.views]
        other.train()
        own = mean_prediction([network(view) for view in labelled.views])
        given = F.one_hot(labelled.labels, self.task.classes)
        temperature = self.hparams.temperature
        co_refined = sharpened(refined(given, own, trust), temperature)
        co_guessed = sharpened(mean_prediction(guesses), temperature)
        return torch.cat([co_refined, co_refined, co_guessed, co_guessed])

    def weight(self) -> float:
        """lambda_u(t) of this step."""
        epoch = self.epoch + self.taken / self.task.steps_per_epoch
        return self.hparams.lambda_u * linear_ramp(epoch, self.warmup_epochs, self.ramp_epochs)

    def semi_loss(self, logits: Tensor, targets: Tensor, count: int, weight: float) -> Tensor:
        """L_x of the first `count` rows, L_u of the others and the penalty of all, (4 B, C)."""
        fit = F.cross_entropy(logits[:count], targets[:count])
        return fit + weight * squared_error(logits[count:], targets[count:]) + class_balance(logits)

    def predict_members(self, images: Tensor) -> Tensor:
        return torch.stack([network(images).softmax(1) for network in self.both])

    def clean_probability(self) -> Tensor:
        """w, the mean of both networks; 1 in the warm-up."""
        return self.clean.mean(0)

    def corrected_labels(self) -> Tensor:
        """Refined labels of all training images, by what both predicted before this epoch."""
        given = F.one_hot(self.task.noisy_labels, self.task.classes)
        labels = refined(given, self.predicted, self.clean.mean(0))
        return sharpened(labels, self.hparams.temperature)
