"""Hold compensation against the plain search, expert by expert, where most experts saw next to nothing.

Run: `python -m tests.parity.starved_experts [--layer 1] [--text]`. A layer of the demo model gets 128 experts (its own
with noise); one of them sees no token, one sees the first token of every prompt and nothing else. It is
calibrated on a few built-in prompts, with `--text` on those without pictures alone. Every matrix is then quantized by
both ways, and the errors of its outputs are compared on other prompts, with pictures: on the tokens that chose the
expert, and the 256 that came closest.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import mlx.core as mx
import numpy as np
from safetensors.numpy import save_file

from convert.calibration.experts import Routing, middle_of
from convert.calibration.file import FORMAT, RECORD, Calibration
from convert.calibration.forward import Arrays, LayerPass
from convert.calibration.identity import CalibratedModel
from convert.calibration.moments import Floats
from convert.calibration.prompts import builtin_prompts
from convert.calibration.sites import EMBEDDING, LAYER, layer_block
from convert.calibration.tables import read_rows_of
from convert.calibration.vision import place_features, run_vision
from convert.calibration.weights import Expert, LayerWeights
from convert.mlx.affine import Packed, numbers_of, quantize_affine
from convert.mlx.compensation import Compensation
from convert.source import Source, sha256_of
from convert.verify.builtin import builtin_conversations
from convert.verify.samples import SampleSet, make_samples
from edge.prompt.processor import Processor
from tests.unit.convert.calibration.calibrating import opened

DEMO = Path("edge/demo")
NUM_EXPERTS, EXPERTS_PER_TOKEN = 128, 8
CALIBRATION_TOKENS, UNLIKE_TOKENS = 1300, 3000
NEVER, ALWAYS_THE_SAME = 0, 1  # experts
_NOISE, _SEED, _NEAR, _GROUP = 0.25, 7, 256, 64
_WITH_PICTURES = ("image", "images", "video")
_MATRICES = ("gate", "up", "down")


@dataclass(frozen=True, slots=True)
class Line:
    """What compensation loses of one matrix, as a share of what a search loses."""

    expert: int
    matrix: str
    tokens: int
    ratio: float


class WideLayer(LayerWeights):
    """A layer of the demo with many experts: copies of its own, each with noise of its own."""

    def __init__(self, source: Source, index: int, router: Floats) -> None:
        super().__init__(source.checkpoint, index)
        self._router = router
        self._own = list(super().experts())

    def others(self) -> dict[str, Floats]:
        """Read what is no expert; the router is the wide one."""
        return super().others() | {"mlp.gate.weight": self._router}

    def experts(self) -> Iterator[Expert]:
        """Make the experts in order."""
        for index in range(len(self._router)):
            yield self.expert(index)

    def expert(self, index: int) -> Expert:
        """Make one expert."""
        rng = np.random.default_rng([_SEED, index])
        own = self._own[index % len(self._own)]
        return Expert(index, *(_with_noise(matrix, rng) for matrix in (own.gate, own.up, own.down)))


class Bench:
    """A wide layer, its calibration, and unlike prompts before it."""

    def __init__(self, folder: Path, *, layer: int = 1, has_pictures: bool = True) -> None:
        self.layer = layer
        source = opened(DEMO)
        text = source.checkpoint.config.text
        assert text.moe is not None
        moe = replace(text.moe, num_experts=NUM_EXPERTS, experts_per_token=EXPERTS_PER_TOKEN)
        processor = Processor.from_folder(source.files.folder, source.checkpoint.config)
        prompts = [item for item in builtin_prompts() if has_pictures or item["kind"] not in _WITH_PICTURES]
        seen = _samples(prompts, processor, CALIBRATION_TOKENS)
        unlike = _samples(list(builtin_conversations()), processor, UNLIKE_TOKENS)
        states = [_states(source, layer, samples) for samples in (seen, unlike)]
        narrow = LayerPass(LayerWeights(source.checkpoint, layer), text)
        rows = narrow.attend(states[0], seen.samples)[1]
        assert narrow.router is not None
        router = _router(narrow.router, rows, [sample.length for sample in seen.samples])
        self.weights = WideLayer(source, layer, router)
        wide = LayerPass(self.weights, replace(text, moe=moe))
        self.rows = wide.attend(states[1], unlike.samples)[1]
        self.routing = wide.route(self.rows)
        self.num_prompts = len(seen.samples)
        _, arrays = wide.run(states[0], seen.samples)
        self.calibration = _kept(folder, source, layer, arrays)

    def lines(self, experts: Sequence[int], *, bits: int = 4) -> Iterator[Line]:
        """Measure experts."""
        compensation = Compensation(self.calibration)
        for number in experts:
            expert = self.weights.expert(number)
            rows = self.rows[_inputs(self.routing, number)]
            inputs = {"gate": rows, "up": rows, "down": middle_of(expert, rows)}
            for matrix in _MATRICES:
                name = f"{LAYER}{self.layer}.mlp.switch_mlp.{matrix}_proj.weight"
                ratio = _ratio(compensation, name, number, getattr(expert, matrix), inputs[matrix], bits=bits)
                yield Line(number, matrix, self.calibration.tokens(name, number), ratio)


def main() -> None:
    """Read the command line, and print every starved expert and a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bits", type=int, default=4)
    parser.add_argument("--layer", type=int, default=1)
    parser.add_argument("--text", action="store_true", help="calibrate without pictures")
    parser.add_argument("--step", type=int, default=1, help="measure every so many experts")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder), layer=given.layer, has_pictures=not given.text)
        lines = list(bench.lines(range(0, NUM_EXPERTS, given.step), bits=given.bits))
    by_expert: dict[int, list[Line]] = {}
    for line in lines:
        by_expert.setdefault(line.expert, []).append(line)
    for expert, own in sorted(by_expert.items(), key=lambda item: (item[1][0].tokens, item[0])):
        print(f"expert {expert}, {own[0].tokens} tokens: " + ", ".join(f"{one.matrix} {one.ratio:.3f}" for one in own))
    print("\n| tokens seen | experts | gate | up | down |\n|---|---:|---:|---:|---:|")
    for name, first, last in (("none", 0, 0), ("1 to 9", 1, 9), ("10 to 63", 10, 63), ("64 and more", 64, 10**9)):
        chosen = [line for line in lines if first <= line.tokens <= last]
        if chosen:
            cells = [_cell([line.ratio for line in chosen if line.matrix == matrix]) for matrix in _MATRICES]
            print(f"| {name} | {len(chosen) // 3} | {' | '.join(cells)} |")


def _cell(ratios: Sequence[float]) -> str:
    return f"{sum(ratios) / len(ratios):.2f}, {max(ratios):.3f}"


def _samples(items: list[dict], processor: Processor, most_tokens: int) -> SampleSet:  # type: ignore[type-arg]
    step, found = 7, make_samples(items[:1], processor)
    order = [index for start in range(step) for index in range(start, len(items), step)]  # kinds mixed
    for count in range(2, len(items) + 1):
        more = make_samples([items[index] for index in order[:count]], processor)
        if more.num_tokens > most_tokens:
            break
        found = more
    return found


def _states(source: Source, layer: int, samples: SampleSet) -> Floats:
    """Return the states of all prompts before a layer (T, D)."""
    ids = np.concatenate([np.asarray(one.prompt.token_ids) for one in samples.samples]).astype(np.int64)
    hidden = read_rows_of(source.checkpoint, EMBEDDING, ids)
    features, levels = run_vision(source.checkpoint, samples)
    place_features(hidden, samples.samples, features)
    for index in range(layer):
        hidden, _ = LayerPass(LayerWeights(source.checkpoint, index), source.checkpoint.config.text).run(
            hidden, samples.samples
        )
        if index < len(levels):
            added = np.zeros_like(hidden)
            place_features(added, samples.samples, levels[index])
            hidden += added
    return hidden


def _router(narrow: Floats, rows: Floats, lengths: Sequence[int]) -> Floats:
    """Spread a router over many experts, so that a few see most; one sees nothing, one the first token of prompts."""
    rng = np.random.default_rng(_SEED)
    router = np.concatenate([narrow] * (NUM_EXPERTS // len(narrow)))
    router = _with_noise(router, rng, noise=1.0)
    starts = np.cumsum([0, *lengths[:-1]])
    first = rows[starts].mean(axis=0)
    others = np.delete(rows, starts, axis=0)
    router[NEVER] = 0
    direction = np.linalg.solve(others.T @ others / len(others) + np.eye(len(first)) * 1e-3, first)
    needed = np.sort(rows[starts] @ router.T, axis=1)[:, -EXPERTS_PER_TOKEN].max()
    router[ALWAYS_THE_SAME] = direction * (1.1 * needed / (first @ direction))
    return router.astype(np.float32)


def _with_noise(matrix: Floats, rng: np.random.Generator, *, noise: float = _NOISE) -> Floats:
    drawn = rng.standard_normal(matrix.shape).astype(np.float32)
    return matrix + np.float32(noise * matrix.std()) * drawn


def _inputs(routing: Routing, expert: int) -> np.ndarray:
    return np.concatenate([routing.of(expert)[0], routing.near(expert, _NEAR)])


def _ratio(compensation: Compensation, name: str, number: int, matrix: Floats, rows: Floats, *, bits: int) -> float:
    weight = mx.array(matrix)
    own = compensation.quantize(name, weight[None], first_row=number, group_size=_GROUP, bits=bits)
    searched = quantize_affine(weight[None], group_size=_GROUP, bits=bits)
    losses = [float(np.square(rows @ (_unpacked(one, bits)[0] - matrix).T).sum()) for one in (own, searched)]
    return losses[0] / losses[1]


def _unpacked(packed: Packed, bits: int) -> Floats:
    scales, biases = packed.scales.astype(mx.float32), packed.biases.astype(mx.float32)
    return numbers_of(mx.dequantize(packed.weight, scales, biases, group_size=_GROUP, bits=bits))


def _kept(folder: Path, source: Source, layer: int, arrays: Arrays) -> Calibration:
    path = folder / f"{layer_block(layer)}.safetensors"
    save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, path)
    model = CalibratedModel.of(source.checkpoint, source.files.identity).to_record()
    record = {"format": FORMAT, "model": model, "fisher": {}, "files": {path.name: sha256_of(path)}}
    record |= {"prompts": {"source": "of this file", "tokens": 0}}
    (folder / RECORD).write_text(json.dumps(record), encoding="utf-8")
    return Calibration.open(folder)


if __name__ == "__main__":
    main()
