"""Control: MetaLabelNet with a label layer that is random and never moves.

What is left of the method without its meta step and without clean images: soft labels that a random
linear layer makes of the warm-up's features. If it is not far below MetaLabelNet, neither helped.
"""

from typing import Literal

from methods.base import register
from methods.declaration import Declaration, Hyperparameters, LogUniform, hparam
from methods.metalabelnet_probe import FixedLabels


class Hparams(Hyperparameters):
    warmup: float = hparam(44 / 120, gt=0, le=1)  # all as of MetaLabelNet
    # Widened from 1e-4: the lower quarter of the draws was above the others.
    stage2_lr_factor: float = hparam(0.1, gt=0, le=100, search=LogUniform(1e-5, 2, widened=1))
    stage2_schedule: Literal["constant", "protocol"] = hparam("constant")


DECLARATION = Declaration(
    "metalabelnet_random",
    "MetaLabelNet, random labels",
    Hparams,
    paper={"stage2_schedule": "protocol"},
    cost=1.2,
    family="control",
)


@register(DECLARATION)
class MetaLabelNetRandom(FixedLabels):
    """Labels of a layer as it was initialised."""
