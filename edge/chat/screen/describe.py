"""Say in one line what a request cost, what became of a picture, and why an answer is not whole."""

from __future__ import annotations

import re

from edge.answer import Answer
from edge.events import MediaUse, Usage

GB = 1_000_000_000
_SIZES = re.compile(r"\d+x\d+ -> .*")  # behind the label, which is the path of a copy


def describe_usage(usage: Usage) -> str:
    """Say what a request cost."""
    computed = usage.prompt_tokens - usage.cached_tokens
    kept = f" ({usage.cached_tokens} kept)" if usage.cached_tokens else ""
    guesses = f" ({usage.accepted_tokens} of {usage.guessed_tokens} guesses right)" if usage.guessed_tokens else ""
    vision = f" · vision {usage.vision_s:.2f} s" if usage.vision_runs else ""
    return (
        f"prompt {usage.prompt_tokens} tokens{kept}{vision}"
        f" · prefill {computed} in {usage.prefill_s:.2f} s, {usage.prefill_tokens_per_s:.0f} tokens/s"
        f" · answer {usage.completion_tokens} tokens, {usage.decode_tokens_per_s:.1f} tokens/s{guesses}"
        f" · first token {usage.first_token_s:.2f} s · peak {usage.peak_bytes / GB:.2f} GB"
    )


def describe_media(name: str, use: MediaUse) -> str:
    """Say what became of a picture or video, under the name the user gave it."""
    found = _SIZES.search(use.summary)
    return f"{name}: {found[0]}" if found else use.summary


def explain_cut(answer: Answer, *, in_talk: bool = False) -> str | None:
    """Say when an answer is not whole, and what to do.

    Args:
        answer: The answer.
        in_talk: Name what can be typed in a talk, instead of options.
    """
    more, think = ("/set max-tokens", "/think N") if in_talk else ("--max-tokens", "--think N")
    if answer.finish.reason == "cancelled":
        return "(stopped; the answer so far is kept)"
    if answer.finish.reason == "stop" and answer.reasoning and not answer.text:
        return f"(no answer: the model ended inside its thought; ask again, or set {think})"
    if answer.finish.reason == "repetition":
        return "(ended here: it repeated itself without end; ask again or otherwise)"
    if answer.finish.reason != "length":
        return None
    tokens = answer.usage.completion_tokens
    if answer.text or not answer.reasoning:
        return f"(cut at {tokens} tokens; raise {more} for more)"
    return f"(no answer: all {tokens} tokens went into the thought; raise {more} or set {think})"
