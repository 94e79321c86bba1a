"""Asks pip-audit for known vulnerabilities of what locks/ names; says in one line why where it cannot."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

LOCKS = sorted(path for path in (Path(__file__).parents[1] / "locks").glob("*.txt") if path.stem != "torch-cpu")


def main() -> int:
    """0: none is known, or nobody could be asked; 1: one is."""
    tool = shutil.which("pip-audit")
    if tool is None:
        print("pip-audit: not run: it is not installed (pip install pip-audit)")
        return 0
    command = [tool, "--format", "json", "--no-deps", "--disable-pip", "--progress-spinner", "off", "--timeout", "10"]
    command += [word for lock in LOCKS for word in ("--requirement", str(lock))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        packages = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError):
        print("pip-audit: not run:", (done.stderr.strip().splitlines() or ["it said nothing"])[-1][:200])
        return 0
    known = [package for package in packages if "vulns" in package]
    if not known:
        print(f"pip-audit: not run: the package index tells nothing of the {len(packages)} packages here")
        return 0
    found = [(package, one) for package in known for one in package["vulns"]]
    for package, one in found:
        fixed = ", ".join(one.get("fix_versions", ())) or "no version yet"
        print(f"pip-audit: {package['name']} {package['version']}: {one['id']} (fixed in {fixed})")
    print(f"pip-audit: {len(known)} packages, {len(packages) - len(known)} unknown, {len(found)} known vulnerabilities")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
