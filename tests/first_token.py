"""Time the whole command to its first token against another checkout: `python -m tests.first_token CHECKOUT`.

Out: the median ratios by the clock and by processor time of this checkout to the other. Both run by turns, with byte
code cached, and with the weights of the demo that each has: copy this one's there, so that both compute the same.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from tests.imports import ROOT

WORDS = ["--image", str(ROOT / "examples/images/sign.png"), "What is written here?", "--max-tokens", "1"]


def main() -> None:
    """Read the command line, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("other", type=Path, help="a checkout of another commit")
    parser.add_argument("--pairs", type=int, default=16)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as cache:
        trees = (ROOT, arguments.other.resolve())
        for tree in trees:  # byte code is written
            seconds(tree, cache)
        pairs = [[seconds(tree, cache) for tree in trees] for _ in range(arguments.pairs)]
    for place, name in enumerate(("clock", "processor")):
        ratio = median(ours[place] / theirs[place] for ours, theirs in pairs)
        ours, theirs = (median(pair[tree][place] for pair in pairs) for tree in (0, 1))
        print(f"{name}: {ratio:.3f} of the other's ({ours:.3f} s and {theirs:.3f} s, medians of {len(pairs)} pairs)")


def seconds(tree: Path, cache: str) -> tuple[float, float]:
    """Run the command in a checkout; return seconds by the clock and of processors."""
    environment = {**os.environ, "PYTHONPATH": str(tree), "PYTHONPYCACHEPREFIX": cache}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    command = [sys.executable, "-m", "edge.chat", *WORDS]
    subprocess.run(command, cwd=tree, env=environment, stdin=subprocess.DEVNULL, capture_output=True, check=True)
    took, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    return took, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    main()
