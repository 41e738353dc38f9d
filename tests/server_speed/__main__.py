"""Measure the server on the embedded demo.

`python -m tests.server_speed together`: sixteen clients at once against one after another.
`python -m tests.server_speed gaps`, `fairness`: what something large holds up, and whose turn it is.
`python -m tests.server_speed beside [--gguf MODEL MMPROJ] [--mlx-vlm PYTHON FOLDER]`: the same to other servers. The
pair is written by `python -m convert gguf edge/demo out/demo.gguf --type F32 --mmproj f32`; PYTHON has mlx-vlm, and
FOLDER is the demo in float32, the only type that MLX's experts take on a CPU there.
"""

from __future__ import annotations

import argparse

from tests.server_speed.beside import add_peers, measure, peers
from tests.server_speed.together import KEYS, fairness, gaps, throughput
from tests.system.server_process import ServerProcess

HEAD = "| clients | first token, median | on the clock | by the server's processor time |\n|---|---|---|---|"


def main() -> None:
    """Print what was measured."""
    parser = argparse.ArgumentParser(description="Measure the server on the embedded demo.")
    parser.add_argument("what", choices=("together", "gaps", "fairness", "beside"))
    add_peers(parser)
    given = parser.parse_args()
    if given.what == "together":
        with ServerProcess() as server:
            single, many = throughput(server)
        print(HEAD, single.line, many.line, sep="\n")
        wall, cpu = (many.tokens / many.wall_s) / (single.tokens / single.wall_s), single.cpu_s / many.cpu_s
        print(f"together / one after another: {wall:.2f} on the clock, {cpu:.2f} by processor time")
    elif given.what == "gaps":
        with ServerProcess() as server:
            for line in gaps(server):
                print(line, flush=True)
    elif given.what == "fairness":
        with ServerProcess(["--rows", "2", "--api-key", KEYS[0], "--api-key", KEYS[1]]) as server:
            print(fairness(server))
    else:
        _beside(given)


def _beside(given: argparse.Namespace) -> None:
    for name, model, starting in peers(given):
        print(f"\n{name}\n{HEAD}", flush=True)
        with starting as (address, process):
            for rate in measure(address, process, model=model):
                print(rate.line, flush=True)


if __name__ == "__main__":
    main()
