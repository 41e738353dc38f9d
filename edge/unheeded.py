"""Name the settings of a checkpoint's files that transformers acts on and this runtime does not: they are said.

In: a file's JSON. Out: one line in the log for what is set and has no effect here. What would change a prompt is
refused by its reader instead; docs/checkpoints.md lists all of it.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

_LOG = logging.getLogger(__name__)

# Key of generation_config.json -> values with which transformers does nothing.
SAMPLING: Mapping[str, tuple[object, ...]] = {
    **dict.fromkeys(
        ("min_length", "min_new_tokens", "no_repeat_ngram_size", "encoder_no_repeat_ngram_size"), (None, 0)
    ),
    **dict.fromkeys(("max_new_tokens", "max_time", "stop_strings", "early_stopping", "length_penalty"), (None, False)),
    **dict.fromkeys(
        ("typical_p", "encoder_repetition_penalty", "guidance_scale", "diversity_penalty"), (None, 1.0, 0.0)
    ),
    **dict.fromkeys(("top_h", "epsilon_cutoff", "eta_cutoff", "penalty_alpha", "dola_layers"), (None, 0.0)),
    **dict.fromkeys(("bad_words_ids", "force_words_ids", "constraints", "sequence_bias"), (None, [], {})),
    **dict.fromkeys(("suppress_tokens", "begin_suppress_tokens"), (None, [])),
    **dict.fromkeys(("forced_bos_token_id", "forced_eos_token_id", "decoder_start_token_id"), (None,)),
    **dict.fromkeys(("renormalize_logits", "remove_invalid_values", "token_healing"), (None, False)),
    **dict.fromkeys(("exponential_decay_length_penalty", "watermarking_config"), (None,)),
    **dict.fromkeys(("num_beams", "num_beam_groups", "num_return_sequences"), (None, 1)),
    "max_length": (None, 20),  # 20 was written by default once
}
_MOST_SHOWN = 5


def say_unheeded(raw: Mapping[str, Any], where: str) -> None:  # Any: JSON
    """Log which settings of a generation_config.json have no effect here."""
    names = [name for name, neutral in SAMPLING.items() if name in raw and raw[name] not in neutral]
    if names:
        more = "" if len(names) <= _MOST_SHOWN else f" and {len(names) - _MOST_SHOWN} more"
        _LOG.warning(
            "%s: %s have no effect here; give limits with each request", where, ", ".join(names[:_MOST_SHOWN]) + more
        )
