"""`--report`: the page about a study is made again and again while the study runs.

`analysis/report.py` runs as a process of its own, so that nothing of it can end or delay a cell.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from runners.commands.arguments import ROOT
from runners.commands.request import Request

FIRST_S, PAUSE_S = 5.0, 30.0
"""Seconds until the first page, and between two of them at least."""
SHARE = 20
"""A pause is so many times as long as the last page took: one worker loses at most 5 %."""
LONGEST_S = 600.0
"""Seconds that a page may take."""


@contextlib.contextmanager
def kept_fresh(request: Request) -> Iterator[None]:
    """Inside, the page is written from time to time; at the end once more.

    Not after Ctrl-C has ended the cells; where it only ends the look at them, too.
    """
    pages = _Pages(_command(request), request.folder.path / "study.json")
    thread = threading.Thread(target=pages.write_now_and_then, daemon=True)
    thread.start()
    try:
        yield
    except BaseException:
        pages.stop()
        raise
    pages.ended.set()
    try:
        thread.join()
        pages.write()
    except KeyboardInterrupt:
        pages.stop()
        raise
    if pages.said:
        print(f"--report: {pages.said}", file=sys.stderr)
    elif pages.study.is_file():
        print(f"report: {pages.study.with_name('report.html')}")


@dataclass
class _Pages:
    """Pages about one study.

    Attributes:
        command: writes one.
        study: a file that there is before anything can be said.
        ended: no further one is wanted.
        said: why the last one was not written; empty if it was.
    """

    command: Sequence[str]
    study: Path
    ended: threading.Event = field(default_factory=threading.Event)
    said: str = ""
    _process: subprocess.Popen[str] | None = None

    def write_now_and_then(self) -> None:
        pause = FIRST_S
        while not self.ended.wait(pause):
            began = time.monotonic()
            self.write()
            pause = max(PAUSE_S, SHARE * (time.monotonic() - began))

    def write(self) -> None:
        """Writes a page as what nobody waits for: at low priority, beyond the reach of Ctrl-C."""
        if not self.study.is_file():
            return
        try:
            self._process = process = subprocess.Popen(
                self.command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE, text=True, errors="replace", start_new_session=True,
            )  # fmt: skip
        except OSError as error:
            self.said = f"the page cannot be written ({error.strerror})"
            return
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, process.pid, 19)
        try:
            lines = process.communicate(timeout=LONGEST_S)[1].strip().splitlines()
        except subprocess.TimeoutExpired:
            self.stop()
            lines = [f"the page took more than {LONGEST_S:.0f} s and was given up"]
        why = lines[-1] if lines else f"the page was not written (exit code {process.returncode})"
        self.said = why if process.returncode else ""

    def stop(self) -> None:
        """Ends it all."""
        self.ended.set()
        if self._process and self._process.poll() is None:
            self._process.kill()
            self._process.wait()


def _command(request: Request) -> list[str]:
    """The command line; the study file is named where it says all that runs."""
    folder, options = request.folder, request.options
    what = [str(folder.path)] if options.overrides else [str(options.study)]
    script = ROOT / "analysis" / "report.py"
    return [sys.executable, str(script), *what, "--results", str(folder.path.parent)]
