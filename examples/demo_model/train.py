"""Train the demo model: `python -m examples.demo_model.train --state DIR --minutes 160`. Resumes from DIR/state.pt.

Muon for matrices, AdamW for the rest, an average of the weights for export. First the vision tower alone learns to
label patches, then everything learns to answer. The rate falls to zero at the wall-clock deadline. DIR/mix.json, if
there, is read again every 50 steps and overrides parts of `MIX` (row counts, question weights).
"""

from __future__ import annotations

import argparse
import json
import multiprocessing as mp
import random
import signal
import threading
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any  # state dicts

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn import functional as F

from . import corpus, tokenizer
from .model import HIDDEN, DemoModel, Plan, block_order, rope_table
from .muon import Muon
from .pack import Batch, Packer

CLASSES = (42, 8, 6)
MIX: dict[str, Any] = {
    "rows": {"image": 4, "sign": 18, "letters": 8, "pair": 6, "video": 6, "tools": 1},
    "others": {"pair": 0.5, "video": 0.5},
    "pictures": {"image": 20, "sign": 12, "letters": 12},
    "pictures_until": 850,
    "others_from": 1300,
    "noise": 0.15,
    "aux": 1.0,
    "rate": 1.0,
    "vision_rate": 0.8,
    "questions": {"describe": 1.0, "count": 1.2, "where": 0.4, "box": 2.2, "box_all": 0.3, "read": 0.05},
}


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line sets."""

    state: Path
    minutes: float
    muon_lr: float
    adam_lr: float
    hold: float
    threads: int
    stop_after: int


class Trainer(nn.Module):
    """The model with the heads that read labels off the visual tokens (not exported)."""

    def __init__(self) -> None:
        super().__init__()
        self.net = DemoModel()
        self.patch_head = nn.Linear(HIDDEN, 4 * sum(CLASSES))
        self.digit_head = nn.Linear(HIDDEN, 4 * 21)
        self.change_head = nn.Linear(HIDDEN, 1)

    def forward(self, batch: Batch, total: int) -> tuple[Tensor, dict[str, float], Tensor]:
        """Return the loss of a microbatch, its parts, and which labels were hit; the step has `total` labels."""
        net = self.net.model
        rows, lanes, length = batch.lane_ids.shape
        prefix_ids = torch.from_numpy(batch.prefix_ids)
        prefix = net.language_model.embed_tokens(prefix_ids)
        visual = torch.zeros(prefix_ids.shape, dtype=torch.bool)
        deepstack: list[Tensor] = []
        aux = prefix.new_zeros(())
        if len(batch.frames):
            features, deep = net.visual(patchify(torch.from_numpy(batch.frames)), (8, 8))
            visual = (prefix_ids == PADS[0]) | (prefix_ids == PADS[1])
            prefix = prefix.masked_scatter(visual[..., None], features.flatten(0, 1).to(prefix.dtype))
            deepstack = [one.flatten(0, 1) for one in deep]
            aux = self._read_off(features, batch)
        if not lanes:
            return MIX["aux"] * aux * min(1.0, rows / 10), {"aux": aux.item()}, torch.zeros(0, dtype=torch.bool)
        embedded = net.language_model.embed_tokens(torch.from_numpy(batch.lane_ids)).flatten(0, 1)
        hidden, early, balance = net.language_model(prefix, embedded, make_plan(batch), visual, deepstack)
        if batch.kind in ("pair", "video"):
            aux = aux + self._tell_changes(early, visual, batch)
        labels = torch.from_numpy(batch.labels).flatten()
        wanted = labels >= 0
        logits = self.net.lm_head(hidden.flatten(0, 1)[wanted]).float()
        ce = F.cross_entropy(logits, labels[wanted], reduction="sum") / total
        hits = torch.zeros(labels.shape, dtype=torch.bool)
        hits[wanted] = logits.argmax(dim=-1) == labels[wanted]
        share = rows * lanes * length / 3000
        loss = ce + MIX["aux"] * aux * min(1.0, len(batch.frames) / 10) + 0.005 * share * balance
        return loss, {"ce": ce.item(), "aux": aux.item(), "balance": balance.item()}, hits

    def _tell_changes(self, early: Tensor, visual: Tensor, batch: Batch) -> Tensor:
        """Cross entropy of whether a visual token shows something else than the picture before it did there."""
        real = torch.from_numpy(changes(batch)).float()
        row, place = visual.nonzero(as_tuple=True)
        guess = self.change_head(F.rms_norm(early[row, place], (HIDDEN,))).float().view(real.shape)
        keep = real >= 0
        weight = torch.tensor(8.0)
        return F.binary_cross_entropy_with_logits(guess[keep], real[keep], pos_weight=weight)

    def _read_off(self, features: Tensor, batch: Batch) -> Tensor:
        """Cross entropy of the labels of patches and of box digits."""
        parts = self.patch_head(features).float().view(len(features) * 64, -1).split(CLASSES, dim=-1)
        targets = torch.from_numpy(batch.classes).transpose(0, 1).flatten(1)
        weight = torch.where(targets[0] > 0, 1.0, 0.15)
        loss = features.new_zeros((), dtype=torch.float32)
        for part, target in zip(parts, targets, strict=True):
            loss = loss + (F.cross_entropy(part, target, reduction="none") * weight).sum() / weight.sum()
        digits = torch.from_numpy(batch.digits)
        keep = digits[..., 0] >= 0
        if not keep.any():
            return loss
        guess = self.digit_head(features[keep]).float().view(-1, 4, 21)
        real = digits[keep].view(-1, 4, 2)
        high = F.cross_entropy(guess[..., :11].flatten(0, 1), real[..., 0].flatten())
        return loss + high + 0.5 * F.cross_entropy(guess[..., 11:].flatten(0, 1), real[..., 1].flatten())


PADS = (0, 0)


def patchify(frames: Tensor) -> Tensor:
    """Turn frames (N, 2, 128, 128, 3) uint8 into patches (N, 64, 1536) in block order, -1 to 1."""
    x = frames.view(-1, 2, 8, 16, 8, 16, 3).permute(0, 2, 4, 6, 1, 3, 5).reshape(-1, 64, 1536)
    return x[:, block_order((8, 8))].float() / 127.5 - 1.0


def changes(batch: Batch) -> np.ndarray:
    """Return (N, 16): 1 where a field differs from the unit before it in its row, 0 where not, -1 in first units."""
    pads = np.isin(batch.prefix_ids, PADS).sum(axis=1) // 16
    seen = batch.classes[:, :2].reshape(len(batch.classes), 2, 16, 4)
    out = np.full((len(seen), 16), -1, np.int64)
    out[1:] = (seen[1:] != seen[:-1]).any(axis=(1, 3))
    out[np.concatenate(([0], np.cumsum(pads)[:-1]))] = -1
    return out


def make_plan(batch: Batch) -> Plan:
    """Build rope tables and masks: a lane token sees the prefix and the earlier tokens of its own question."""
    _, lanes, length = batch.lane_ids.shape
    size = batch.prefix_ids.shape[1]
    valid = torch.arange(size) < torch.from_numpy(batch.prefix_len)[:, None]  # (B, P)
    causal = torch.ones(size, size, dtype=torch.bool).tril()
    prefix_mask = (causal & valid[:, None, :] | torch.eye(size, dtype=torch.bool))[:, None]
    seg = torch.from_numpy(batch.lane_seg).flatten(0, 1)
    own = (seg[:, :, None] == seg[:, None, :]) & torch.ones(length, length, dtype=torch.bool).tril()
    seen = valid.repeat_interleave(lanes, dim=0)[:, None, :].expand(-1, length, -1)
    lane_mask = torch.cat((seen, own), dim=2)[:, None]
    lane_pos = torch.from_numpy(batch.lane_pos).flatten(0, 1).expand(3, -1, -1)
    ropes = rope_table(torch.from_numpy(batch.prefix_pos)), rope_table(lane_pos)
    return Plan(*ropes, _added(prefix_mask), _added(lane_mask), lanes)


def _added(mask: Tensor) -> Tensor:
    return torch.zeros(mask.shape, dtype=torch.bfloat16).masked_fill_(~mask, -1e4)


def make_batches(folder: Path, queue: Any, seed: int, start: int) -> None:  # Any: mp.Queue is not generic at run time
    """Worker: put the microbatches of one step after another on the queue."""
    packer = Packer(Tokenizer.from_file(str(folder / "tokenizer.json")))
    step = start
    while True:
        rng = random.Random(seed * 1_000_003 + step)
        if step % 50 == 0 or step == start:
            read_mix(folder)
        kinds = ["image", "sign", "letters"]
        alone = step < MIX["pictures_until"]
        if step >= MIX["others_from"]:
            kinds.append("tools")
            kinds.append(rng.choices(list(MIX["others"]), list(MIX["others"].values()))[0])
        batches = [
            packer.batch(
                kind,
                rng,
                rows=MIX["pictures" if alone else "rows"][kind],
                noise=MIX["noise"],
                mix=MIX["questions"],
                lanes=0 if alone else None,
            )
            for kind in kinds
        ]
        queue.put(batches)
        step += 1


def read_mix(folder: Path) -> None:
    """Bring DIR/mix.json into `MIX`."""
    path = folder / "mix.json"
    if path.exists():
        for key, value in json.loads(path.read_text()).items():
            MIX[key] = {**MIX[key], **value} if isinstance(value, dict) else value


def start_weights(trainer: Trainer) -> None:
    """Set the first weights: matrices by their input width, what ends a residual branch small."""
    for name, param in trainer.named_parameters():
        if name.endswith("bias") or "expert" in name:
            if name.endswith("bias"):
                nn.init.zeros_(param)
        elif "pos_embed" in name or "embed_tokens" in name or "lm_head" in name:
            nn.init.normal_(param, std=0.05 if "embed" in name else 0.01)
        elif param.dim() > 1:
            width = param[0].numel()
            last = "o_proj" in name or "attn.proj" in name or ("blocks" in name and "linear_fc2" in name)
            nn.init.normal_(param, std=width**-0.5 * (0.2 if last else 0.6))


def optimizers(trainer: Trainer, options: Options) -> list[torch.optim.Optimizer]:
    """Muon for the hidden matrices, AdamW for embeddings, heads, norms, biases and the router."""
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = defaultdict(list)
    for name, param in trainer.named_parameters():
        outer = any(part in name for part in ("embed", "lm_head", "_head", "mlp.gate.", "patch_embed"))
        groups[param.dim() < 2 or outer, "visual" in name].append(param)
    muon = [{"params": groups[False, seeing], "seeing": seeing} for seeing in (True, False)]
    adam = [{"params": groups[True, seeing], "seeing": seeing} for seeing in (True, False)]
    return [
        Muon(muon, lr=options.muon_lr),
        torch.optim.AdamW(adam, lr=options.adam_lr, betas=(0.9, 0.98), weight_decay=0.0, fused=True),
    ]


def rate(step: int, done: float, hold: float) -> float:
    """Return the factor on the rates: a short rise, level until `hold` of the time, then a line to zero."""
    return min(1.0, (step + 1) / 100) * min(1.0, max(0.0, (1.0 - done) / (1.0 - hold)))


class Scores:
    """Running share of questions whose every token was hit, by task; also logs the losses."""

    def __init__(self) -> None:
        self.exact: dict[str, float] = {}
        self.losses: dict[str, float] = defaultdict(float)

    def add(self, batch: Batch, hits: Tensor, parts: dict[str, float]) -> None:
        """Take the hits of one microbatch into the averages."""
        wanted = batch.labels.flatten() >= 0
        segments = batch.lane_seg.flatten()[wanted]
        wrong = set(segments[~hits.numpy()[wanted]].tolist())
        tokens: dict[int, list[int]] = defaultdict(lambda: [0, 0])
        for segment, hit in zip(segments.tolist(), hits.numpy()[wanted].tolist(), strict=True):
            tokens[segment][0] += hit
            tokens[segment][1] += 1
        for segment in set(segments.tolist()):
            kind = batch.tasks[segment]
            right = tokens[segment][0] / tokens[segment][1] if kind.startswith("box") else float(segment not in wrong)
            self.exact[kind] = self.exact.get(kind, right) * 0.995 + right * 0.005
        for key, value in parts.items():
            self.losses[f"{batch.kind}.{key}"] = value

    def line(self) -> str:
        """Return one line for the log."""
        exact = " ".join(f"{kind} {value:.3f}" for kind, value in sorted(self.exact.items()))
        aux = " ".join(f"{key} {value:.2f}" for key, value in self.losses.items() if not key.endswith("balance"))
        return f"{exact} | {aux}"


def save(
    path: Path, trainer: Trainer, average: dict[str, Tensor], opts: list[torch.optim.Optimizer], **more: Any
) -> None:
    """Write the state beside its name, then rename it."""
    state = {"model": trainer.state_dict(), "average": average, "opts": [opt.state_dict() for opt in opts], **more}
    torch.save(state, path.with_suffix(".tmp"))
    path.with_suffix(".tmp").rename(path)


def train(options: Options) -> None:
    """Run until the deadline."""
    global PADS
    torch.manual_seed(0)
    torch.set_num_threads(options.threads)
    folder = options.state
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "tokenizer.json").exists():
        tokenizer.save(folder, corpus.corpus())
    tok = Tokenizer.from_file(str(folder / "tokenizer.json"))
    image, video = tok.encode("<|image_pad|><|video_pad|>").ids
    PADS = (image, video)
    trainer = Trainer()
    start_weights(trainer)
    opts = optimizers(trainer, options)
    step, spent, average = 0, 0.0, {}
    path = folder / "state.pt"
    if path.exists():
        state = torch.load(path, weights_only=True)
        missing = trainer.load_state_dict(state["model"], strict=False).missing_keys
        assert all("change_head" in name for name in missing), missing
        for opt, old in zip(opts, state["opts"], strict=True):
            groups = opt.state_dict()["param_groups"]
            opt.load_state_dict({**old, "param_groups": groups})
        step, spent, average = state["step"], state["spent"], state["average"]
    queue: Any = mp.Queue(maxsize=4)
    worker = mp.Process(target=make_batches, args=(folder, queue, 1, step), daemon=True)
    worker.start()
    base = [options.muon_lr, options.adam_lr]
    scores, log = Scores(), (folder / "log.txt").open("a", buffering=1)
    began, saved = time.time() - spent, time.time()
    asked_to_stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: asked_to_stop.set())
    while True:
        spent = time.time() - began
        done = spent / (options.minutes * 60)
        if done >= 1 or asked_to_stop.is_set() or (options.stop_after and step >= options.stop_after):
            break
        factor = rate(step, done, options.hold)
        for opt, lr in zip(opts, base, strict=True):
            for group in opt.param_groups:
                group["lr"] = lr * factor * (MIX["vision_rate"] if group["seeing"] else MIX["rate"])
        wait = step % 2 == 1 and step >= MIX["pictures_until"]
        run_step(trainer, opts, queue.get(), scores, wait=wait)
        step += 1
        if step % 10 == 0:
            keep_average(trainer, average)
        if step % 50 == 0:
            log.write(f"{time.strftime('%H:%M:%S')} step {step} {spent:.0f}s x{factor:.2f} | {scores.line()}\n")
            read_mix(folder)
        if time.time() - saved > 240:
            save(path, trainer, average, opts, step=step, spent=spent)
            saved = time.time()
    save(path, trainer, average, opts, step=step, spent=spent)
    worker.terminate()


def run_step(
    trainer: Trainer, opts: list[torch.optim.Optimizer], batches: list[Batch], scores: Scores, *, wait: bool
) -> None:
    """Add up the gradients of the microbatches and update; with `wait`, the tower's go on to the next step."""
    total = sum(int((batch.labels >= 0).sum()) for batch in batches)
    for batch in batches:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss, parts, hits = trainer(batch, total)
        loss.backward()
        scores.add(batch, hits, parts)
    nn.utils.clip_grad_norm_(trainer.parameters(), 1.0)
    kept = {param: param.grad for param in trainer.net.model.visual.parameters()} if wait else {}
    for param in kept:
        param.grad = None
    for opt in opts:
        opt.step()
        opt.zero_grad(set_to_none=True)
    for param, grad in kept.items():
        param.grad = grad


def keep_average(trainer: Trainer, average: dict[str, Tensor]) -> None:
    """Update the moving average of the weights."""
    for name, value in trainer.net.state_dict().items():
        if name in average:
            average[name].lerp_(value, 0.05)
        else:
            average[name] = value.clone()


def main() -> None:
    """Read the command line and train."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--state", type=Path, required=True, help="folder of the training state")
    parser.add_argument("--minutes", type=float, default=160.0, help="training time in all, over every resume")
    parser.add_argument("--muon-lr", type=float, default=0.005)
    parser.add_argument("--adam-lr", type=float, default=0.003)
    parser.add_argument("--hold", type=float, default=0.4, help="share of the time before the rate falls")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--stop-after", type=int, default=0, help="stop after this many steps (0: never)")
    train(Options(**vars(parser.parse_args())))


if __name__ == "__main__":
    main()
