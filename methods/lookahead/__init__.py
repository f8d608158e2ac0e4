"""The exact meta-gradient of a one-step look-ahead, which the meta methods share.

`look_ahead.py` has the formula for meta-learners beside the network, `traced.py` and `autograd.py`
the derivative that reuses the forward pass; `through_step.py` has that for the network itself.
"""

from methods.lookahead.look_ahead import LookAhead
from methods.lookahead.through_step import ThroughStep

__all__ = ["LookAhead", "ThroughStep"]
