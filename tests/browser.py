"""A headless Chromium for the tests of pages: what a page shows after a script has used it, and what it complains of.

The page itself is opened first, as it is: its policy lets nothing load, and the console says what it would have
blocked. Then, without the policy, a script of the test's uses it; `out` is what that script gives back.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
)
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
RESULT = re.compile(r'<pre id="trial">(.*?)</pre>', re.DOTALL)
CLOCKED = """<script>
window.requestAnimationFrame = (paint) => setTimeout(() => paint(performance.now()), 16);
window.cancelAnimationFrame = clearTimeout;
</script>"""
"""Frames at 60 a second of the time that waits run by, which overtakes a headless browser's own."""
FRAME = """
const out = [];
const wait = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));
async function trial() { %s }
trial().catch((error) => out.push(String(error))).then(() => {
  const pre = document.createElement("pre");
  pre.id = "trial";
  pre.textContent = JSON.stringify(out).replaceAll("&", "\\\\u0026").replaceAll("<", "\\\\u003c");
  document.body.append(pre);
});
"""


def use(page: str, script: str, folder: Path) -> list[Any]:
    """Opens a page, uses it by the body of an async function, and gives what that put into `out`.

    Fails when anything is written to the console: errors, and loads that the policy blocks.
    """
    alone = _open(page, folder / "page.html")
    assert "CONSOLE" not in alone.stderr, alone.stderr
    free = re.sub(r"<meta http-equiv[^>]*>", CLOCKED, page, count=1)
    tried = free.replace("</body>", f"<script>{FRAME % script}</script></body>")
    shown = _open(tried, folder / "tried.html")
    assert "CONSOLE" not in shown.stderr, shown.stderr
    found = RESULT.search(shown.stdout)
    assert found is not None, "the script did not come to its end"
    return list(json.loads(found[1].replace("&amp;", "&").replace("&lt;", "<").replace("&gt;", ">")))


def _open(page: str, file: Path) -> subprocess.CompletedProcess[str]:
    file.write_text(page, encoding="utf-8")
    command = [
        str(CHROMIUM),
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--enable-logging=stderr",
        "--window-size=1000,900",
        "--virtual-time-budget=5000",
        f"--user-data-dir={file.parent / 'profile'}",
        "--dump-dom",
    ]
    return subprocess.run([*command, file.as_uri()], capture_output=True, text=True, check=True, timeout=120)
