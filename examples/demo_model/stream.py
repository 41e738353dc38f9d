"""The stream of batches: what each step is made of, made by worker processes ahead of the training.

In: the mix of kinds and a seed for each step. Out: one list of `Batch`es a step, in order.
"""

from __future__ import annotations

import json
import multiprocessing as mp
import queue
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any  # JSON, and mp.Queue, which is not generic at run time

from tokenizers import Tokenizer

from .asked.wordings import Practice
from .choosing import WEIGHTS
from .pack import Batch, Packer
from .rows import LANES

SEED = 1
AHEAD = 4  # steps that wait in each worker's queue
MIX: dict[str, Any] = {
    "rows": {
        "image": 6, "sign": 10, "letters": 16, "things": 16, "pair": 6, "video": 6, "tools": 1, "wide": 5,
        "wide_sign": 8, "lists": 5, "plain": 8, "free_tools": 2, "talk": 3, "refusal": 1, "animation": 4, "copying": 3,
        "offered": 3,
    },
    "always": ["image", "sign", "letters", "things"],
    "others": {
        "tools": 0.6, "pair": 0.4, "video": 0.3, "wide": 0.8, "wide_sign": 0.4, "lists": 1.2, "plain": 0.5,
        "free_tools": 1.2, "talk": 1.0, "refusal": 0.3, "animation": 0.5, "copying": 0.8,
        "offered": 0.5,
    },
    "num_others": 2,
    "pictures": {"image": 20, "sign": 12, "letters": 12, "things": 12},
    "pictures_until": 850,
    "tower_every": 1,
    "heads_until": 0,
    "others_from": 1300,
    "noise": 0.15,
    "minutes": 0.0,
    "scale": 1,
    "lanes": 1,
    "rate": 1.0,
    "vision_rate": 0.8,
    "questions": WEIGHTS,
}  # fmt: skip


def stream(folder: Path, *, start: int, workers: int) -> Iterator[list[Batch]]:
    """Start worker processes and yield the batches of step `start` and of all that follow.

    Args:
        folder: Holds tokenizer.json and perhaps mix.json.
        start: First step.
        workers: Processes; step n is made by the same seed whatever their number.
    """
    queues: list[Any] = [mp.Queue(maxsize=AHEAD) for _ in range(workers)]
    for index, own in enumerate(queues):
        mp.Process(target=_work, args=(folder, own, start + index, workers), daemon=True).start()
    ready: queue.Queue[list[Batch]] = queue.Queue(maxsize=AHEAD)
    threading.Thread(target=_bring, args=(queues, ready), daemon=True).start()
    while True:
        yield ready.get()


def _bring(queues: list[Any], ready: queue.Queue[list[Batch]]) -> None:
    """Take steps from the workers in turn, beside the training: unpacking one takes some hundredths of a second."""
    while True:
        for one in queues:
            ready.put(one.get())


def _work(folder: Path, own: Any, step: int, stride: int) -> None:
    """Put every `stride`-th step's batches on the queue."""
    packer = Packer(Tokenizer.from_file(str(folder / "tokenizer.json")))
    while True:
        read_mix(folder)
        own.put(make_step(packer, step))
        step += stride


def make_step(packer: Packer, step: int) -> list[Batch]:
    """Make the batches of one step."""
    rng = Practice(SEED * 1_000_003 + step)
    kinds = list(MIX["always"])
    alone = step < MIX["pictures_until"]
    if step >= MIX["others_from"]:
        kinds += rng.choices(list(MIX["others"]), list(MIX["others"].values()), k=MIX["num_others"])
    return [
        packer.batch(
            kind,
            rng,
            rows=MIX["scale"] * MIX["pictures" if alone else "rows"][kind],
            noise=MIX["noise"],
            mix=MIX["questions"],
            lanes=0 if alone else MIX["lanes"] * LANES[kind],
        )
        for kind in kinds
    ]


def read_mix(folder: Path) -> None:
    """Bring DIR/mix.json into `MIX`."""
    path = folder / "mix.json"
    if path.exists():
        for key, value in json.loads(path.read_text()).items():
            MIX[key] = {**MIX[key], **value} if isinstance(value, dict) else value
