"""Write a prompt file with its pictures: `python -m examples.demo_model.prompt_sets second FOLDER`.

Sets: `calibration` for `convert calibrate`, `tuning` to look at while methods are chosen, `second` to look at once. The
last two hold prompts that are unlike the demo's own, too. The same set always gives the same file.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from .writing import SETS, write_set


def main() -> None:
    """Read the command line and write the set."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("set", choices=tuple(SETS))
    parser.add_argument("folder", type=Path, help="gets prompts.jsonl and the pictures")
    parser.add_argument("--cases", type=int, default=8, help="questions of each task (default: 8)")
    given = parser.parse_args()
    print(write_set(given.set, given.folder, num_cases=given.cases))


if __name__ == "__main__":
    main()
