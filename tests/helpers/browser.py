"""Pages in a headless Chromium, driven by a script of the test that the page itself runs."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
"""Chromium of this machine, as Debian and others call it; None where there is none."""

WATCH = """<script>
window.errors = [];
addEventListener("error", (event) => errors.push(event.message || "a resource failed"), true);
addEventListener("unhandledrejection", (event) => errors.push(String(event.reason)));
for (const kind of ["error", "warn"]) console[kind] = (...words) => errors.push(words.join(" "));
</script>"""

REPORT = """<script>
addEventListener("load", async () => {
  let found;
  try { found = await (async () => { %s })(); } catch (error) { errors.push(String(error.stack)); }
  const requests = performance.getEntriesByType("resource").map((entry) => entry.name);
  parent.postMessage(JSON.stringify({ found, errors, requests }), "*");
});
</script>"""

FRAME = """<!DOCTYPE html><meta charset="utf-8"><body style="margin:0">
<iframe style="border:0;width:%dpx;height:900px" src="%s"></iframe><pre id="heard"></pre>
<script>addEventListener("message", (event) => { heard.textContent = event.data; });</script>"""


def visit(page: Path, script: str, *, width: int = 1280) -> dict[str, Any]:
    """Opens a page and runs a script in it.

    The page's policy is taken out of a copy, so that the test's script may run. It lies in a frame:
    no window of Chromium is as narrow as a phone.

    Args:
        page: the page.
        script: body of an async function in the page; what it returns must fit in JSON.
        width: of the page, in pixels.

    Returns:
        `found` (what the script returned), `errors` (messages of all that went wrong, the console's
        too), `requests` (addresses of all that was fetched).
    """
    text = page.read_text(encoding="utf-8")
    text, policies = re.subn(r"<meta http-equiv=\"Content-Security-Policy\"[^>]*>", "", text)
    assert policies == 1
    copy, frame = page.with_name("visited.html"), page.with_name("frame.html")
    text = text.replace("<head>", "<head>" + WATCH, 1)
    end = text.rindex("</body>")
    copy.write_text(text[:end] + REPORT % script + text[end:], encoding="utf-8")
    frame.write_text(FRAME % (width, copy.as_uri()), encoding="utf-8")
    run = subprocess.run(
        [
            CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu", "--dump-dom",
            "--disable-dev-shm-usage", f"--user-data-dir={page.parent / 'profile'}",
            "--window-size=1400,1000", "--virtual-time-budget=5000", frame.as_uri(),
        ],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    heard = re.search(r'<pre id="heard">(.*?)</pre>', run.stdout, re.DOTALL)
    assert heard and heard[1], run.stdout[-2000:] + run.stderr[-2000:]
    return json.loads(html.unescape(heard[1]))
