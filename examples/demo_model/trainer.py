"""The model in training: the loss of a batch, and the heads that read labels off the visual tokens (not exported).

In: `Batch`es. Out: losses, and which labels were hit.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .export import IDS
from .looks.canvas import SQUARE, Grid
from .model import HIDDEN, DemoModel, Plan, rope_table, vision_tables
from .pack import Batch

CLASSES = (42, 9, 6)
AUX = 1.0
CHANGE_WEIGHT = 8.0  # few fields change
PADS = (IDS["<|image_pad|>"], IDS["<|video_pad|>"])


def tensor(array: np.ndarray, device: torch.device) -> Tensor:
    """Bring an array to a device, to a GPU without waiting for what it still has to do."""
    host = torch.from_numpy(array)
    return host if device.type == "cpu" else host.pin_memory().to(device, non_blocking=True)


class Trainer(nn.Module):
    """The model with the heads that read labels off the visual tokens (not exported)."""

    def __init__(self) -> None:
        super().__init__()
        self.net = DemoModel()
        self.patch_head = nn.Linear(HIDDEN, 4 * sum(CLASSES))
        self.digit_head = nn.Linear(HIDDEN, 4 * 21)
        self.change_head = nn.Linear(HIDDEN, 1)

    @property
    def device(self) -> torch.device:
        """Where the weights lie."""
        return self.change_head.weight.device

    def forward(self, batch: Batch, total: int) -> tuple[Tensor, dict[str, Tensor], Tensor]:
        """Return the loss of a microbatch, its parts, and which labels were hit; the step has `total` labels."""
        net = self.net.model
        rows, lanes, length = batch.lane_ids.shape
        prefix = net.language_model.embed_tokens(tensor(batch.prefix_ids, self.device))
        visual = tensor(np.flatnonzero(np.isin(batch.prefix_ids, PADS)), self.device)
        deepstack: list[Tensor] = []
        aux = prefix.new_zeros(())
        if len(batch.frames):
            features, deep = self._see(batch)
            seen = features.flatten(0, 1).to(prefix.dtype)
            prefix = prefix.flatten(0, 1).index_copy(0, visual, seen).view(prefix.shape)
            deepstack = [one.flatten(0, 1) for one in deep]
            aux = self._read_off(features, batch)
        if not lanes:
            return AUX * aux * min(1.0, rows / 10), {"aux": aux}, torch.zeros(0, dtype=torch.bool)
        embedded = net.language_model.embed_tokens(tensor(batch.lane_ids, self.device)).flatten(0, 1)
        hidden, early, balance = net.language_model(prefix, embedded, make_plan(batch, self.device), visual, deepstack)
        if batch.kind in ("pair", "video"):
            aux = aux + self._tell_changes(early.flatten(0, 1)[visual], batch)
        labels = tensor(batch.labels, self.device).flatten()
        logits = self.net.lm_head(hidden.flatten(0, 1)).float()
        ce = F.cross_entropy(logits, labels, reduction="sum", ignore_index=-100) / total
        hits = logits.argmax(dim=-1) == labels
        share = rows * lanes * length / 3000
        loss = ce + AUX * aux * min(1.0, len(batch.frames) / 10) + 0.005 * share * balance
        return loss, {"ce": ce, "aux": aux, "balance": balance}, hits

    def read_off(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss of the heads alone; no gradient reaches the tower."""
        with torch.no_grad():
            features, _ = self._see(batch)
        loss = self._read_off(features, batch)
        return loss, {"aux": loss}

    def _see(self, batch: Batch) -> tuple[Tensor, list[Tensor]]:
        """Run the tower on a batch's pictures."""
        patches = patchify(tensor(batch.frames, self.device), batch.grid)
        seen: tuple[Tensor, list[Tensor]] = self.net.model.visual(patches, batch.grid)
        return seen

    def _tell_changes(self, early: Tensor, batch: Batch) -> Tensor:
        """Cross entropy of whether a visual token (N*16, D) shows something else than the picture before it did."""
        told = changes(batch)
        keep = tensor(np.flatnonzero(told >= 0), self.device)
        real = tensor(told, self.device).flatten()[keep].float()
        guess = self.change_head(F.rms_norm(early, (HIDDEN,))).float().flatten()[keep]
        weight = torch.full((), CHANGE_WEIGHT, device=self.device)
        return F.binary_cross_entropy_with_logits(guess, real, pos_weight=weight)

    def _read_off(self, features: Tensor, batch: Batch) -> Tensor:
        """Cross entropy of the labels of patches and of box digits."""
        parts = (
            self.patch_head(features).float().view(features.shape[0] * features.shape[1] * 4, -1).split(CLASSES, dim=-1)
        )
        targets = tensor(batch.classes, self.device).transpose(0, 1).flatten(1)
        weight = torch.where(targets[0] > 0, 1.0, 0.15)
        loss = features.new_zeros((), dtype=torch.float32)
        for part, target in zip(parts, targets, strict=True):
            loss = loss + (F.cross_entropy(part, target, reduction="none") * weight).sum() / weight.sum()
        centred = np.flatnonzero(batch.digits[..., 0] >= 0)
        if not len(centred):
            return loss
        keep = tensor(centred, self.device)
        guess = self.digit_head(features).flatten(0, 1)[keep].float().view(-1, 4, 21)
        real = tensor(batch.digits, self.device).flatten(0, 1)[keep].view(-1, 4, 2)
        high = F.cross_entropy(guess[..., :11].flatten(0, 1), real[..., 0].flatten())
        return loss + high + 0.5 * F.cross_entropy(guess[..., 11:].flatten(0, 1), real[..., 1].flatten())


def patchify(frames: Tensor, grid: Grid = SQUARE) -> Tensor:
    """Turn frames (N, 1 or 2, height, width, 3) uint8 into patches (N, patches, 1536) in block order, -1 to 1."""
    rows, cols = grid
    frames = frames.expand(-1, 2, -1, -1, -1).contiguous()
    x = frames.view(-1, 2, rows, 16, cols, 16, 3).permute(0, 2, 4, 6, 1, 3, 5).reshape(-1, rows * cols, 1536)
    return x[:, vision_tables(grid, x.device).order].float() / 127.5 - 1.0


def changes(batch: Batch) -> np.ndarray:
    """Return (N, 16): 1 where a field differs from the unit before it in its row, 0 where not, -1 in first units."""
    pads = np.isin(batch.prefix_ids, PADS).sum(axis=1) // 16
    seen = batch.classes[:, :2].reshape(len(batch.classes), 2, 16, 4)
    out = np.full((len(seen), 16), -1, np.int64)
    out[1:] = (seen[1:] != seen[:-1]).any(axis=(1, 3))
    out[np.concatenate(([0], np.cumsum(pads)[:-1]))] = -1
    return out


def make_plan(batch: Batch, device: torch.device) -> Plan:
    """Build rope tables and masks: a lane token sees the prefix and the earlier tokens of its own question."""
    _, lanes, length = batch.lane_ids.shape
    size = batch.prefix_ids.shape[1]
    valid = torch.arange(size, device=device) < tensor(batch.prefix_len, device)[:, None]  # (B, P)
    causal = torch.ones(size, size, dtype=torch.bool, device=device).tril()
    prefix_mask = (causal & valid[:, None, :] | torch.eye(size, dtype=torch.bool, device=device))[:, None]
    seg = tensor(batch.lane_seg, device).flatten(0, 1)
    own = (seg[:, :, None] == seg[:, None, :]) & torch.ones(length, length, dtype=torch.bool, device=device).tril()
    seen = valid.repeat_interleave(lanes, dim=0)[:, None, :].expand(-1, length, -1)
    lane_mask = torch.cat((seen, own), dim=2)[:, None]
    lane_pos = tensor(batch.lane_pos, device).flatten(0, 1).expand(3, -1, -1)
    ropes = rope_table(tensor(batch.prefix_pos, device)), rope_table(lane_pos)
    return Plan(*ropes, _added(prefix_mask), _added(lane_mask), lanes)


def _added(mask: Tensor) -> Tensor:
    return torch.zeros(mask.shape, dtype=torch.bfloat16, device=mask.device).masked_fill_(~mask, -1e4)
