"""Samples without a tokenizer: made of token ids and visual spans by hand."""

from __future__ import annotations

import numpy as np

from convert.verify.samples import Sample
from edge.prompt.build import Prompt
from edge.prompt.positions import Span, make_positions


def sample(
    *token_ids: int, kind: str = "text", span: tuple[int, int] | None = None, answer: int | None = None
) -> Sample:
    """Build a sample; `span` is the first token and the number of a picture's tokens, `answer` the first token."""
    spans = () if span is None else (Span(span[0], span[1], 0, 0, (1, 2, 2 * span[1])),)
    ids = np.array(token_ids, np.int32)
    prompt = Prompt("", ids, make_positions(len(ids), spans, merge_size=2), spans, ())
    return Sample("by hand", kind, prompt, () if span is None else (0,), None if answer is None else (answer, len(ids)))
