"""Control: MetaLabelNet whose label layer is fitted to the clean images once, then frozen.

After the warm-up the layer learns the classes of the clean subset from the frozen features, by
cross-entropy; then the classifier trains on the labels that it gives, with MetaLabelNet's loss and
rates. The same clean images, features and soft labels as there, without any look-ahead: what
MetaLabelNet gains over it is due to the meta step.

The layer makes as many Adam updates as an epoch has steps, on clean batches, at MetaLabelNet's
`beta`; they are not counted among the updates of the classifier.
"""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from methods import metalabelnet
from methods.base import Batch, register
from methods.declaration import Declaration, Hyperparameters, LogUniform, Privileges, hparam
from methods.metalabelnet import MetaLabelNet, stage2_loss


class Hparams(Hyperparameters):
    warmup: float = hparam(44 / 120, gt=0, le=1)  # all as of MetaLabelNet
    beta: float = hparam(0.01, gt=0, le=10, search=LogUniform(3e-4, 0.3))
    weight_decay: float = hparam(1e-4, ge=0, le=1)
    stage2_lr_factor: float = hparam(0.1, gt=0, le=100, search=LogUniform(1e-4, 2))
    stage2_schedule: Literal["constant", "protocol"] = hparam("constant")


DECLARATION = Declaration(
    "metalabelnet_probe",
    "MetaLabelNet, fitted labels",
    Hparams,
    Privileges.CLEAN_SUBSET,
    paper={"stage2_schedule": "protocol"},
    cost=1.2,
    family="control",
)


class FixedLabels(MetaLabelNet):
    """MetaLabelNet's second stage on labels of a layer that does not move in it."""

    def __init__(self, task, hparams, rng, new_network) -> None:
        whole = metalabelnet.Hparams(**hparams.model_dump())
        super().__init__(task, whole, rng, new_network)

    def stage2_step(self, batch: Batch) -> dict[str, Tensor]:
        with torch.no_grad():
            soft_labels = self.soft_labels(self.features(batch))
        loss = stage2_loss(self.network(batch.images), soft_labels)
        self.update(loss)
        return {"loss": loss.detach()}


@register(DECLARATION)
class MetaLabelNetProbe(FixedLabels):
    """Labels of a layer that was fitted to the clean images."""

    def begin_epoch(self, epoch: int) -> None:
        super().begin_epoch(epoch)
        if epoch == self.warmup_epochs:
            for _ in range(self.task.steps_per_epoch):
                self.fit(self.task.clean_batch(augment=False))

    def fit(self, clean: Batch) -> None:
        """One Adam step of the label layer down its cross-entropy on a clean batch."""
        with torch.no_grad():
            features = self.encoder.features(clean.images)
        loss = F.cross_entropy(self.label_layer(features), clean.labels)
        self.label_optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.label_optimizer.step()
