"""`protocol.compile` changes no number beyond rounding."""

from __future__ import annotations

import pytest

from tests.helpers.cells import CPU
from tests.helpers.compiled import needs_compiler, plain_and_compiled


@pytest.mark.slow
@needs_compiler
@pytest.mark.parametrize("name", ["cross_entropy", "metalabelnet"])
def test_compiled_networks_leave_the_losses_as_they_are(name):
    plain, compiled = plain_and_compiled(name, CPU)
    for ours, theirs in zip(compiled, plain, strict=True):
        assert ours == pytest.approx(theirs, rel=1e-4)
