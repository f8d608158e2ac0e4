"""Label smoothing (Szegedy et al., CVPR 2016; with noisy labels Lukasik et al., ICML 2020).

The target of a sample is (1 - epsilon) of its given label and epsilon / C of every class: a
constant correction, without any idea which labels are wrong (arXiv 2003.02819).
"""

import torch.nn.functional as F
from torch import Tensor

from methods.base import LossMethod, register
from methods.declaration import Declaration, Hyperparameters, Uniform, hparam


class Hparams(Hyperparameters):
    # The default is Szegedy's. Widened from 0.9: the upper quarter of twelve draws was above the
    # others.
    epsilon: float = hparam(0.1, ge=0, lt=1, search=Uniform(0.0, 0.99, widened=1))


DECLARATION = Declaration("label_smoothing", "Label smoothing", Hparams, family="regularisation")


@register(DECLARATION)
class LabelSmoothing(LossMethod):
    """Mean cross-entropy with smoothed targets."""

    def loss(self, logits: Tensor, labels: Tensor, index: Tensor) -> Tensor:
        return F.cross_entropy(logits, labels, label_smoothing=self.hparams.epsilon)
