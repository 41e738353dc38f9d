"""Put an hour of load on the demo's server: `python -m tests.system.load [--minutes 60]`.

Out: what became of the requests, percentiles of their times, and memory. Exit status 1 when an answer was wrong, the
server failed, or its memory grew.
"""

from __future__ import annotations

import argparse
import sys

from tests.system.load.mix import all_kinds
from tests.system.load.report import MB
from tests.system.load.run import LIMITS, run_load
from tests.system.server_process import ServerProcess

GROWTH_BYTES_PER_HOUR = 20 * MB


def main() -> int:
    """Run it and print the report."""
    parser = argparse.ArgumentParser(description="Load on the demo's server.")
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    with ServerProcess(LIMITS) as server:
        report = run_load(
            server, all_kinds(), seconds=60 * given.minutes, num_clients=given.clients, seed=given.seed
        )  # fmt: skip
        code = server.stop()
    print("\n".join(report.lines()))
    for note in report.failures[:20]:
        print(f"{note.kind}: {note.outcome}: {note.detail[:500]}")
    print("".join(report.faults[:5]), end="")
    grew = report.growth_bytes_per_hour > GROWTH_BYTES_PER_HOUR
    return int(bool(report.failures or report.faults or grew or code))


if __name__ == "__main__":
    sys.exit(main())
