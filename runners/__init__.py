"""What runs studies. Of operating systems Linux and macOS will do."""

import sys

if sys.platform == "win32":
    print("Windows is not supported: use Linux, macOS or WSL", file=sys.stderr)
    raise SystemExit(2)
