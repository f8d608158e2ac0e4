"""Where weights trained on ImageNet lie on this machine, for `pretrained:NAME`. No torch.

Nothing is downloaded: the file lies in torch's cache (`$TORCH_HOME/hub/checkpoints`, else
`~/.cache/torch/hub/checkpoints`) or in the folder `weights` of `data/`, under torchvision's own
name, such as `resnet18-f37072fd.pth`, whose last part is the beginning of its SHA-256. NAME is
`resnet18`, or `resnet18-f37072fd` where there are several.
"""

from __future__ import annotations

import os
from pathlib import Path

from datasets.base import DataError, usual_roots

PREFIX = "pretrained:"


def weights_file(name: str) -> Path:
    """The file of weights of `pretrained:NAME`, or of NAME.

    Raises:
        DataError: there is none, or there are several; one sentence.
    """
    plain = name.removeprefix(PREFIX)
    cache = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "torch"
    home = Path(os.environ.get("TORCH_HOME") or cache).expanduser()
    folders = [home / "hub" / "checkpoints", *(root / "weights" for root in usual_roots(None))]
    for folder in folders:
        whole = folder / f"{plain}.pth"  # with its digits; without any nobody could check it
        found = sorted(folder.glob(f"{plain}-*.pth"))
        found += [whole] if "-" in plain and whole.is_file() else []
        if len(found) == 1:
            return found[0]
        if found:
            names = ", ".join(path.stem for path in found)
            raise DataError(f"network {name}: {folder} has several: must be one of {names}")
    looked = ", ".join(map(str, folders))
    raise DataError(
        f"network {name}: its weights ({plain}-*.pth of torchvision) are not there: looked in "
        f"{looked}; nothing is downloaded in a run"
    )
