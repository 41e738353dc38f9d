"""Put a measurement together: open the reference and the candidates, refuse wrong pairs, run, and sum up."""

from __future__ import annotations

import importlib.metadata
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from convert.disk import check_space, describe_bytes
from convert.interrupt import explain_interrupt
from convert.opening import shown_source
from convert.source import mark_files
from convert.verify.candidates import (
    Candidate,
    check_pair,
    check_weights,
    open_candidate,
    with_distinct_names,
    with_reference_videos,
)
from convert.verify.compare import run_candidate
from convert.verify.results import Report
from convert.verify.samples import BUILTIN, SampleSet, make_samples, read_conversations
from convert.verify.scores import TOP_TOKENS, TeacherLogits
from convert.verify.store import StateStore, digest_of
from convert.verify.teacher import PassPlan, Say, plan_pass, run_teacher
from convert.verify.torch_blocks import TorchBlocks
from edge.checkpoint.files.hub import resolve_model
from edge.checkpoint.folder import Checkpoint, open_checkpoint
from edge.memory import GB
from edge.plan.recipes import Format
from edge.prompt.processor import Processor

Dtype = Literal["float32", "bfloat16"]
_COMPARED_ROWS = 256  # embedding rows that tell one model from another


@dataclass(frozen=True, slots=True, eq=False)
class Measurement:
    """A reference, its prompts, and the candidates that belong to it; nothing has run yet.

    Attributes:
        reference: As the user named it.
        checkpoint: The reference's files.
        prompts: As the user named them.
        samples: The prompts.
        candidates: Checked, with distinct names.
        notes: For the report of each candidate.
        dtype: Compute type of the reference.
        work_folder: Where states are kept.
    """

    reference: str
    checkpoint: Checkpoint
    prompts: str
    samples: SampleSet
    candidates: tuple[Candidate, ...]
    notes: tuple[tuple[str, ...], ...]
    dtype: Dtype
    work_folder: Path

    @classmethod
    def prepare(
        cls,
        reference: str,
        *,
        candidates: Sequence[str],
        prompts: str,
        dtype: Dtype,
        work: Path | None = None,
        adapter: str | None = None,
    ) -> Measurement:
        """Open everything and refuse what does not belong together.

        Args:
            reference: Folder or hub id of the original checkpoint.
            candidates: Folders, GGUF files or hub ids.
            prompts: JSONL file, or `builtin`.
            dtype: Compute type of the reference.
            work: Where states are kept; by default in the user's cache, by what decides them.
            adapter: LoRA adapter that the candidates were made with; None takes one in the reference's folder, if any.

        Raises:
            EdgeError: A file is missing or broken, or a candidate is not of this reference.
        """
        folder = resolve_model(reference)
        checkpoint = open_checkpoint(folder, adapter=None if adapter is None else resolve_model(adapter))
        conversations = read_conversations(prompts)
        processor = Processor.from_folder(folder, checkpoint.config)
        samples = make_samples(conversations, processor)
        blocks = TorchBlocks(checkpoint, dtype=_torch_dtype(dtype))
        opened = with_distinct_names([open_candidate(source) for source in candidates], sources=candidates)
        paired = [with_reference_videos(candidate, processor.videos) for candidate in opened]
        found = tuple(candidate for candidate, _ in paired)
        for candidate in found:
            check_pair(
                candidate, config=checkpoint.config, conversations=conversations, samples=samples, reference=reference
            )
            _check_weights(candidate, blocks, samples, reference=reference)
            candidate.blocks.release()
        digest = _digest(checkpoint, samples, dtype)
        return cls(
            reference=reference,
            checkpoint=checkpoint,
            prompts=prompts,
            samples=samples,
            candidates=found,
            notes=tuple(notes for _, notes in paired),
            dtype=dtype,
            work_folder=(work or _cache_folder()) / digest,
        )

    def plan(self) -> PassPlan:
        """Say what the reference's pass takes."""
        return plan_pass(self.checkpoint, self.samples, itemsize=2 if self.dtype == "bfloat16" else 4)

    def run(self, *, say: Say) -> Report:
        """Run the reference (or go on with it), then every candidate.

        Raises:
            MemoryPlanError: One block does not fit into memory.
            OutputError: The states do not fit on the disk, or cannot be written.
            KeyboardInterrupt: The user interrupted, with a line that says how to go on.
        """
        plan, samples, config = self.plan(), self.samples, self.checkpoint.config
        say(
            f"{self.reference}: {len(samples.samples)} prompts, {samples.num_tokens:,} tokens, {len(samples.media)} "
            f"pictures or videos; the reference takes one block at a time, at most {plan.memory_bytes / GB:.1f} GB of "
            f"memory, and {describe_bytes(plan.disk_bytes)} for states in {self.work_folder}"
        )
        plan.check()
        store = StateStore(self.work_folder)
        check_space(self.work_folder, plan.disk_bytes - store.num_bytes())
        blocks = TorchBlocks(self.checkpoint, dtype=_torch_dtype(self.dtype))
        with explain_interrupt(self.work_folder):
            logits = run_teacher(blocks, samples, config=config, store=store, say=say)
            num_parameters = sum(math.prod(target.shape) for rule in self.checkpoint.rules for target in rule.targets)
            results = tuple(
                replace(
                    run_candidate(item, samples, teacher=store, logits=logits, num_parameters=num_parameters, say=say),
                    notes=notes,
                )
                for item, notes in zip(self.candidates, self.notes, strict=True)
            )
        return Report(
            reference=shown_source(self.reference),
            dtype=self.dtype,
            prompts=self.prompts if self.prompts == BUILTIN else Path(self.prompts).name,
            prompts_digest=samples.digest,
            num_prompts=len(samples.samples),
            num_tokens=samples.num_tokens,
            kept_tokens=min(TOP_TOKENS, config.text.vocab_size),
            vocab_size=config.text.vocab_size,
            kept_mass=_kept_mass(logits),
            versions={name: importlib.metadata.version(name) for name in ("torch", "transformers", "mlx")},
            candidates=results,
        )

    def affine_formats(self) -> dict[str, dict[str, Format]]:
        """Return candidate -> parameter -> format of those that are MLX folders in affine formats alone."""
        found: dict[str, dict[str, Format]] = {}
        for candidate in self.candidates:
            if candidate.is_gguf:
                continue
            packed = open_checkpoint(candidate.card.parent).quantized
            if packed and all(form.mode == "affine" for form in packed.values()):
                found[candidate.name] = {f"{module}.weight": form for module, form in packed.items()}
        return found

    def may_have_card(self, candidate: Candidate) -> bool:
        """Tell whether a report may be written beside a candidate: not into the reference, nor into a download."""
        folder = candidate.card.parent.resolve()
        return folder != self.checkpoint.source.folder.resolve() and "snapshots" not in folder.parts


def _check_weights(candidate: Candidate, blocks: TorchBlocks, samples: SampleSet, *, reference: str) -> None:
    """Refuse a candidate of another model: some rows of the embedding and the last norm tell."""
    token_ids = np.unique(np.concatenate([sample.prompt.token_ids for sample in samples.samples]))[:_COMPARED_ROWS]
    check_weights(
        candidate,
        final_norm=blocks.final_norm(),
        rows=blocks.embedding_rows(torch.from_numpy(token_ids.astype(np.int64))).numpy(),
        token_ids=token_ids.tolist(),
        reference=reference,
    )


def _torch_dtype(dtype: Dtype) -> torch.dtype:
    return torch.bfloat16 if dtype == "bfloat16" else torch.float32


def _digest(checkpoint: Checkpoint, samples: SampleSet, dtype: Dtype) -> str:
    """Name everything that decides the reference's numbers."""
    own = () if checkpoint.adapter is None else checkpoint.adapter.files
    files = mark_files([*(file.path for file in checkpoint.source.files), *own])
    versions = [importlib.metadata.version(name) for name in ("torch", "transformers")]
    # The configuration without what does not decide them; its sizes and ids print as they are.
    return digest_of(files, replace(checkpoint.config, quantization=None), samples.digest, dtype, versions)


def _kept_mass(logits: Sequence[TeacherLogits]) -> float:
    """Return the mean probability of the kept tokens."""
    masses = [np.exp(record.values - record.lse[:, None]).sum(1) for record in logits]
    return float(np.concatenate(masses).mean())


def _cache_folder() -> Path:
    return Path.home() / ".cache" / "qwen3vl-edge" / "verify"
