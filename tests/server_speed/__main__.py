"""Measure the server on the embedded demo.

`python -m tests.server_speed together`: sixteen clients at once against one after another, gaps, whose turn it is.
`python -m tests.server_speed beside [--gguf MODEL MMPROJ] [--mlx-vlm PYTHON]`: the same questions to other servers;
the pair is written by `python -m convert gguf edge/demo out/demo.gguf --type F32 --mmproj f32`, PYTHON has mlx-vlm.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from edge.loading import demo_folder
from tests.server_speed.beside import edge_server, llama_server, measure, mlx_vlm_server
from tests.server_speed.together import KEYS, fairness, gaps, throughput
from tests.system.server_process import ServerProcess

HEAD = "| clients | first token, median | on the clock | by the server's processor time |\n|---|---|---|---|"


def main() -> None:
    """Print what was measured."""
    parser = argparse.ArgumentParser(description="Measure the server on the embedded demo.")
    parser.add_argument("what", choices=("together", "gaps", "fairness", "beside"))
    parser.add_argument("--gguf", nargs=2, type=Path)
    parser.add_argument("--mlx-vlm", type=Path)
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
        _beside(given.gguf, given.mlx_vlm)


def _beside(gguf: list[Path] | None, python: Path | None) -> None:
    servers = [("edge", "demo", edge_server())]
    if gguf:
        servers.append(("llama.cpp", "demo", llama_server(*gguf)))
    if python:
        servers.append(("mlx-vlm", str(demo_folder()), mlx_vlm_server(python)))
    for name, model, starting in servers:
        print(f"\n{name}\n{HEAD}", flush=True)
        with starting as (address, process):
            for rate in measure(address, process, model=model):
                print(rate.line, flush=True)


if __name__ == "__main__":
    main()
