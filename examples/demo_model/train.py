"""Train the demo model: `python -m examples.demo_model.train --state DIR --minutes 160`. Resumes from DIR/state.pt.

Muon for matrices, AdamW for the rest, an average of the weights for export. First the vision tower alone learns to
label patches, then everything learns to answer. The rate falls to zero when the minutes of processor time are used up.
DIR/mix.json, if there, is read again every 50 steps and overrides parts of `MIX` (row counts, weights, minutes).
With `--warm FOLDER` a new state starts from a checkpoint; then only the throw-away heads learn at first.
"""

from __future__ import annotations

import argparse
import shutil
import signal
import threading
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any  # state dicts

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from . import corpus, tokenizer
from .muon import Muon
from .pack import Batch
from .stream import MIX, read_mix, stream
from .trainer import Trainer

SCORED_EVERY = 10  # on a GPU, which would have to be waited for


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line sets."""

    state: Path
    minutes: float
    warm: Path | None
    muon_lr: float
    adam_lr: float
    hold: float
    threads: int
    workers: int
    device: str
    stop_after: int


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

    def add(self, batch: Batch, hits: Tensor, parts: dict[str, Tensor]) -> None:
        """Take the hits of one microbatch into the averages."""
        wanted, hits = batch.labels.flatten() >= 0, hits.cpu()
        segments = batch.lane_seg.flatten()[wanted]
        wrong = set(segments[~hits.numpy()[wanted]].tolist())
        tokens: dict[int, list[int]] = defaultdict(lambda: [0, 0])
        for segment, hit in zip(segments.tolist(), hits.numpy()[wanted].tolist(), strict=True):
            tokens[segment][0] += hit
            tokens[segment][1] += 1
        for segment in set(segments.tolist()):
            kind = batch.tasks[segment]
            right = tokens[segment][0] / tokens[segment][1] if kind.startswith("box") else float(segment not in wrong)
            self.exact[kind] = self.exact.get(kind, right) * 0.98 + right * 0.02
        self.add_losses(batch, parts)

    def add_losses(self, batch: Batch, parts: dict[str, Tensor]) -> None:
        """Keep the losses of one microbatch."""
        for key, value in parts.items():
            self.losses[f"{batch.kind}.{key}"] = value.item()

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
    """Run until the minutes are used up, or until SIGTERM."""
    torch.manual_seed(0)
    torch.set_num_threads(options.threads)
    folder = options.state
    trainer = Trainer()
    state = begin(folder, trainer, options.warm)
    step, spent = state.get("step", 0), state.get("spent", 0.0)
    read_mix(folder)
    steps = stream(folder, start=step, workers=options.workers)
    ahead = next(steps)  # the workers are forked before a GPU is touched
    trainer.to(options.device)
    average = {name: value.to(options.device) for name, value in state.get("average", {}).items()}
    opts = optimizers(trainer, options)
    for opt, old in zip(opts, state.get("opts", []), strict=False):
        opt.load_state_dict({**old, "param_groups": opt.state_dict()["param_groups"]})
    base = [options.muon_lr, options.adam_lr]
    scores, log = Scores(), (folder / "log.txt").open("a", buffering=1)
    clock = time.process_time if options.device == "cpu" else time.perf_counter
    began, saved = clock() - spent, time.time()
    asked_to_stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: asked_to_stop.set())
    while True:
        spent = clock() - began
        done = spent / ((MIX["minutes"] or options.minutes) * 60)
        if done >= 1 or asked_to_stop.is_set() or (options.stop_after and step >= options.stop_after):
            break
        factor = rate(step - MIX["heads_until"], done, options.hold)
        for opt, lr in zip(opts, base, strict=True):
            for group in opt.param_groups:
                group["lr"] = lr * factor * (MIX["vision_rate"] if group["seeing"] else MIX["rate"])
        batches, ahead = ahead, next(steps)
        if step < MIX["heads_until"]:
            learn_heads(trainer, opts[1], batches, scores, rate=options.adam_lr)
        else:
            wait = step % MIX["tower_every"] != 0 and step >= MIX["pictures_until"]
            told = scores if options.device == "cpu" or step % SCORED_EVERY == 0 else None
            run_step(trainer, opts, batches, told, wait=wait)
        step += 1
        if step % 10 == 0:
            keep_average(trainer, average)
        if step % 25 == 0:
            log.write(f"{time.strftime('%H:%M:%S')} step {step} {spent:.0f}s x{factor:.2f} | {scores.line()}\n")
            read_mix(folder)
        if time.time() - saved > 240:
            save(folder / "state.pt", trainer, average, opts, step=step, spent=spent)
            saved = time.time()
    save(folder / "state.pt", trainer, average, opts, step=step, spent=spent)


def begin(folder: Path, trainer: Trainer, warm: Path | None) -> dict[str, Any]:
    """Load the weights of the folder's state, or start one; returns the rest of the state."""
    folder.mkdir(parents=True, exist_ok=True)
    if (folder / "state.pt").exists():
        state: dict[str, Any] = torch.load(folder / "state.pt", weights_only=True, map_location="cpu")
        trainer.load_state_dict(state["model"])
        return state
    start_weights(trainer)
    if warm is None:
        tokenizer.save(folder, corpus.corpus())
        return {}
    trainer.net.load_state_dict({name: value.float() for name, value in load_file(warm / "model.safetensors").items()})
    for name in ("tokenizer.json", "vocab.json", "merges.txt"):
        shutil.copyfile(warm / name, folder / name)
    return {}


def learn_heads(
    trainer: Trainer, adam: torch.optim.Optimizer, batches: list[Batch], scores: Scores, *, rate: float
) -> None:
    """Update only the heads that read labels off the visual tokens."""
    for group in adam.param_groups:
        group["lr"] = rate
    for batch in batches:
        with torch.autocast(trainer.device.type, dtype=torch.bfloat16):
            loss, parts = trainer.read_off(batch)
        loss.backward()
        scores.add_losses(batch, parts)
    adam.step()
    adam.zero_grad(set_to_none=True)


def run_step(
    trainer: Trainer, opts: list[torch.optim.Optimizer], batches: list[Batch], scores: Scores | None, *, wait: bool
) -> None:
    """Add up the gradients of the microbatches and update; with `wait`, the tower's go on to the next step."""
    total = sum(int((batch.labels >= 0).sum()) for batch in batches)
    for batch in batches:
        with torch.autocast(trainer.device.type, dtype=torch.bfloat16):
            loss, parts, hits = trainer(batch, total)
        loss.backward()
        if scores is not None:
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
    parser.add_argument("--minutes", type=float, default=160.0, help="processor time in all, over every resume")
    parser.add_argument("--warm", type=Path, help="checkpoint folder from which a new state starts")
    parser.add_argument("--muon-lr", type=float, default=0.005)
    parser.add_argument("--adam-lr", type=float, default=0.003)
    parser.add_argument("--hold", type=float, default=0.4, help="share of the time before the rate falls")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--workers", type=int, default=1, help="processes that make batches")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--stop-after", type=int, default=0, help="stop after this many steps (0: never)")
    train(Options(**vars(parser.parse_args())))


if __name__ == "__main__":
    main()
