"""The exact meta-gradient of a one-step look-ahead, which MetaLabelNet and MW-Net share.

`look_ahead.py` has the formula, `tangent.py` the derivative that reuses the forward pass.
"""

from methods.lookahead.look_ahead import LookAhead

__all__ = ["LookAhead"]
