"""Open what is held against the reference, and refuse what does not belong to it.

A candidate is an MLX folder (quantized or not), a hub folder, or a GGUF pair: anything this runtime loads. It must
have the reference's architecture, give the same prompts, and hold its weights (up to quantization).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from convert.source import mark_files
from convert.verify.card import CARD, GGUF_CARD
from convert.verify.mlx_blocks import MlxBlocks
from convert.verify.samples import Sample, SampleSet, make_samples
from convert.verify.stages import Array
from convert.verify.store import digest_of
from edge.checkpoint.files.hub import resolve_model
from edge.checkpoint.folder import default_dtype, open_checkpoint
from edge.checkpoint.gguf_door import gguf_processor
from edge.checkpoint.pair import GgufPair, is_gguf, open_pair
from edge.config import ModelConfig
from edge.errors import ConfigError, PromptError, UsageError, WeightError
from edge.prompt.media.cache import MediaCache
from edge.prompt.processor import Processor
from edge.settings import VideoSettings

# A decoder's shape and meaning; lengths, versions and packing may differ.
_FREE_FIELDS = {"max_position_embeddings", "eos_token_ids", "transformers_version", "quantization", "fp8"}
_FREE_FIELDS |= {"tie_word_embeddings", "original_max_position_embeddings"}
NORM_TOLERANCE = 0.05  # norms are never packed; half types round them by 0.4 %
ROWS_COSINE = 0.5  # embeddings at 2 bits keep 0.9; those of another model 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """A candidate, ready to run.

    Attributes:
        name: For tables; the folder's or file's name.
        blocks: Its model.
        config: Its configuration.
        processor: Makes its prompts.
        files: Its weight files.
        card: Its model card, beside which pictures and numbers of a report go.
        is_gguf: A GGUF pair; its files have no place for video settings.
    """

    name: str
    blocks: MlxBlocks
    config: ModelConfig
    processor: Processor
    files: tuple[Path, ...]
    card: Path
    is_gguf: bool = False

    @property
    def num_bytes(self) -> int:
        """Size of the weight files."""
        return sum(path.stat().st_size for path in self.files)

    @property
    def digest(self) -> str:
        """Tell the candidate, and the type it computes in, from others."""
        return digest_of(mark_files(self.files), str(default_dtype()))


def open_candidate(source: str) -> Candidate:
    """Open a folder, a hub id or a GGUF file.

    Raises:
        ConfigError: No such candidate, or one without the files a prompt needs.
        WeightError: Its files are missing or broken.
    """
    path = Path(source)
    if is_gguf(path):
        return _open_gguf(open_pair(path))
    folder = resolve_model(source)
    checkpoint = open_checkpoint(folder, dtype=default_dtype())
    return Candidate(
        name=folder.resolve().name,
        blocks=MlxBlocks.from_checkpoint(checkpoint, dtype=default_dtype()),
        config=checkpoint.config,
        processor=Processor.from_folder(folder, checkpoint.config),
        files=tuple(file.path for file in checkpoint.source.files),
        card=folder / CARD,
    )


def _open_gguf(pair: GgufPair) -> Candidate:
    tensors = (*pair.text.tensors.values(), *pair.projector.tensors.values())
    return Candidate(
        name=pair.text.path.stem,
        blocks=MlxBlocks.from_gguf(pair, dtype=default_dtype()),
        config=pair.config,
        processor=gguf_processor(pair),
        files=tuple(sorted({tensor.path for tensor in tensors})),
        card=pair.text.path.with_name(GGUF_CARD.format(name=pair.text.path.name)),
        is_gguf=True,
    )


def with_reference_videos(candidate: Candidate, videos: VideoSettings) -> tuple[Candidate, tuple[str, ...]]:
    """Give a GGUF pair the reference's video settings, which its files cannot hold.

    Returns:
        The candidate, and a note for the report when the settings are not those a GGUF is run with.
    """
    if not candidate.is_gguf or candidate.processor.videos == videos:
        return candidate, ()
    processor = replace(candidate.processor, videos=videos, media_cache=MediaCache())
    note = "GGUF files hold no video settings; videos were prepared as the original's files say."
    return replace(candidate, processor=processor), (note,)


def with_distinct_names(candidates: Sequence[Candidate], *, sources: Sequence[str]) -> tuple[Candidate, ...]:
    """Lengthen names that occur twice by the folders above, as many as it takes.

    Raises:
        UsageError: A candidate is given twice.
    """
    places = [item.files[0].resolve() if item.is_gguf else item.card.parent.resolve() for item in candidates]
    for number, place in enumerate(places):
        if place in places[:number]:
            raise UsageError(f"--candidate {sources[number]}: given twice. Leave it out once.")
    names = [item.name for item in candidates]
    names = [
        f"{name}.gguf" if item.is_gguf and names.count(name) > 1 else name
        for name, item in zip(names, candidates, strict=True)
    ]
    for depth in range(1, max((len(place.parts) for place in places), default=0)):
        twice = {name for name in names if names.count(name) > 1}
        for number, (place, name) in enumerate(zip(places, names, strict=True)):
            if name in twice and len(place.parts) > depth + 1:
                names[number] = f"{place.parts[-1 - depth]}-{name}"
    return tuple(replace(item, name=name) for item, name in zip(candidates, names, strict=True))


def check_pair(
    candidate: Candidate,
    *,
    config: ModelConfig,
    conversations: Sequence[Mapping[str, Any]],  # Any: JSON of messages
    samples: SampleSet,
    reference: str,
) -> None:
    """Refuse a candidate of another architecture, or one that would be asked something else.

    Args:
        candidate: What to check.
        config: The reference's configuration.
        conversations: From which the samples were made.
        samples: As the reference's processor makes them.
        reference: Its name, for messages.

    Raises:
        ConfigError: It is a conversion of another model.
        PromptError: Its tokenizer, template or picture settings make other prompts.
    """
    difference = next(_differences(config, candidate.config), None)
    if difference is not None:
        field, expected, found = difference
        raise ConfigError(
            f"{candidate.name} is no conversion of {reference}: {field} is {expected} in the reference and {found} in "
            "the candidate. Give the checkpoint it was made from."
        )
    own = make_samples(conversations, candidate.processor)
    if own.digest == samples.digest:
        return
    for expected_sample, found_sample in zip(samples.samples, own.samples, strict=True):
        problem = _prompt_difference(expected_sample, found_sample)
        if problem:
            raise PromptError(
                f"{candidate.name} has another tokenizer, template or picture settings than {reference}: prompt "
                f"{expected_sample.name} {problem}. Copy these files from the reference."
            )


def check_weights(
    candidate: Candidate, *, final_norm: Array, rows: Array, token_ids: Iterable[int], reference: str
) -> None:
    """Refuse a candidate whose weights are another model's, by tensors that quantization leaves (nearly) alone.

    Args:
        candidate: What to check.
        final_norm: The reference's last norm (D,).
        rows: Some rows of its embedding (R, D).
        token_ids: Which rows they are.
        reference: Its name, for messages.

    Raises:
        WeightError: The weights are of another model.
    """
    own_norm, own_rows = candidate.blocks.final_norm(), candidate.blocks.embedding_rows(list(token_ids))
    norm_error = float(np.linalg.norm(own_norm - final_norm) / np.linalg.norm(final_norm))
    lengths = np.linalg.norm(own_rows, axis=1) * np.linalg.norm(rows, axis=1)
    cosine = float(np.median((own_rows * rows).sum(1) / np.maximum(lengths, 1e-12)))
    if norm_error > NORM_TOLERANCE or cosine < ROWS_COSINE:
        raise WeightError(
            f"{candidate.name} holds the weights of another model than {reference}: its last norm differs by "
            f"{norm_error:.0%}, its embeddings have a cosine of {cosine:.2f}. Give the checkpoint it was made from."
        )


def _differences(expected: object, found: object, prefix: str = "") -> Iterator[tuple[str, object, object]]:
    """Yield each field of two configurations that differs and matters."""
    for field in dataclasses.fields(expected):  # type: ignore[arg-type]  # a dataclass by construction
        if field.name in _FREE_FIELDS:
            continue
        ours, theirs = getattr(expected, field.name), getattr(found, field.name)
        name = f"{prefix}{field.name}"
        if dataclasses.is_dataclass(ours) and type(ours) is type(theirs):
            yield from _differences(ours, theirs, f"{name}.")
        elif ours != theirs:
            yield name, ours, theirs


def _prompt_difference(expected: Sample, found: Sample) -> str | None:
    ours, theirs = expected.prompt, found.prompt
    sizes = [media.grid_thw for media in ours.media], [media.grid_thw for media in theirs.media]
    if sizes[0] != sizes[1]:
        return f"has pictures of {sizes[0]} patches there and {sizes[1]} here"
    if not np.array_equal(ours.token_ids, theirs.token_ids):
        shared = min(len(ours.token_ids), len(theirs.token_ids))
        differs = np.flatnonzero(ours.token_ids[:shared] != theirs.token_ids[:shared])
        place = int(differs[0]) if len(differs) else shared
        return f"differs from token {place} on ({len(ours.token_ids)} tokens there, {len(theirs.token_ids)} here)"
    if [media.digest for media in ours.media] != [media.digest for media in theirs.media]:
        return "has other pixels after resizing or normalising"
    return None
