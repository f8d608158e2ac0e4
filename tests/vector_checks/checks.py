"""Which check compares which files, what it proves of which methods, and what it leaves out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from torch import Tensor

from tests.vector_checks import corrections, losses, semi_supervised, steps, two_networks
from tests.vector_checks.common import INPUTS, Vectors


@dataclass(frozen=True)
class Check:
    """Compares the files whose names begin alike.

    Attributes:
        compute: vectors of a file -> names of quantities and what the suite makes of them.
        methods: the methods of the suite that it speaks for.
        left_out: pattern of quantities that it does not compute -> why.
    """

    compute: Callable[[Vectors], Iterator[tuple[str, Tensor]]]
    methods: tuple[str, ...]
    left_out: Mapping[str, str] = field(default_factory=dict)

    def reason(self, name: str) -> str | None:
        """Why a quantity is not compared; None where nobody has said."""
        found = [why for pattern, why in self.left_out.items() if fnmatchcase(name, pattern)]
        return found[0] if found else None


LEFT_OUT = {
    name: patterns
    for module in (losses, steps, corrections, two_networks, semi_supervised)
    for name, patterns in module.NOT_COMPARED.items()
}


def _check(name: str, compute: Callable, *methods: str) -> tuple[str, Check]:
    return name, Check(compute, methods, LEFT_OUT.get(name, {}) | INPUTS)


CHECKS: dict[str, Check] = dict(
    [
        _check("gce", losses.check_gce, "gce"),
        _check("co_teaching", losses.check_co_teaching, "co_teaching"),
        _check("mw_net", steps.check_mw_net, "mw_net"),
        _check("metalabelnet", steps.check_metalabelnet, "metalabelnet"),
        _check("sce", losses.check_sce, "sce"),
        _check("robust_losses", losses.check_robust_losses, "gce", "sce", "nce_rce"),
        _check("bootstrap", losses.check_bootstrap, "bootstrap"),
        _check("elr", losses.check_elr, "elr"),
        _check("mslg", steps.check_mslg, "mslg"),
        _check("l2rw", steps.check_l2rw, "l2rw"),
        _check("binary_l2rw", steps.check_l2rw, "l2rw"),
        _check("pencil", losses.check_pencil, "pencil"),
        _check("jocor", losses.check_jocor, "jocor"),
        _check("forward_correction", losses.check_forward, "forward", "forward_estimated"),
        _check("coteaching_plus", two_networks.check_co_teaching_plus, "co_teaching_plus"),
        _check("plus_elr", two_networks.check_elr_plus, "elr_plus"),
        _check("dividemix_semiloss", semi_supervised.check_semiloss, "dividemix"),
        _check("dividemix_targets", semi_supervised.check_targets, "dividemix"),
        _check("dividemix_gmm", semi_supervised.check_gmm, "dividemix"),
        _check(
            *("drop_rates", two_networks.check_drop_rates),
            *("co_teaching", "co_teaching_plus", "jocor"),
        ),
        _check(
            "joint_optimization", corrections.check_joint_optimization, "joint_optimization"
        ),
        _check("mlc", corrections.check_mlc, "mlc"),
        _check("conv_mlc", corrections.check_conv_mlc, "mlc"),
        _check("mlnt", corrections.check_mlnt, "mlnt"),
    ]
)  # fmt: skip
"""Beginning of a file's name -> its check."""
