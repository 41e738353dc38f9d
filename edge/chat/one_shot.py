"""Answer one prompt: the answer on stdout, everything else on stderr."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Any, TextIO

from edge.answer import Answer
from edge.chat.arguments import ChatOptions
from edge.chat.asking import Message, begin, explain_cut, make_request, show_events
from edge.chat.interrupt import cancel_on_interrupt
from edge.chat.screen import Screen, describe_usage
from edge.chat.transcript import Transcript
from edge.conversation import user_message
from edge.events import MediaUse, PromptEvent

if TYPE_CHECKING:
    from edge.engine import Engine

INTERRUPTED = 130


def answer_once(engine: Engine, options: ChatOptions, text: str, *, screen: Screen, out: TextIO, notice: str) -> int:
    """Answer and return the exit code: 0, or 130 when Ctrl-C cut the answer.

    Args:
        engine: The loaded checkpoint.
        options: The command line.
        text: The question.
        screen: Where pieces of the answer and notes go.
        out: Where `--json` writes.
        notice: A line written before the answer, once nothing can fail any more; may be empty.
    """
    messages: list[Message] = [{"role": "system", "content": options.system}] if options.system else []
    messages.append(user_message(text, images=[*map(str, options.images)], videos=[*map(str, options.videos)]))
    transcript = Transcript(options.save) if options.save else None
    cancel = threading.Event()
    with cancel_on_interrupt(cancel):
        prompt, events = begin(engine, make_request(engine, options, messages, cancel=cancel))
        seen = (use.summary for use in prompt.media if use.is_shrunk or options.shows_stats)
        for line in (*([notice] if notice else []), *seen, *prompt.hints):
            screen.note(line)
        answer = show_events(
            prompt, events, None if options.is_json else screen, shows_reasoning=options.shows_reasoning
        )
    if transcript:
        transcript.add(messages[-1])
        transcript.add({**answer.message(), "finish_reason": answer.finish.reason})
    if options.is_json:
        json.dump(_answer_json(engine, options, answer, prompt), out, ensure_ascii=False, indent=2)
        out.write("\n")
        out.flush()
    elif note := explain_cut(answer):
        screen.note(note)
    if options.shows_stats:
        screen.note(describe_usage(answer.usage))
    return INTERRUPTED if answer.finish.reason == "cancelled" else 0


def _answer_json(engine: Engine, options: ChatOptions, answer: Answer, prompt: PromptEvent) -> dict[str, Any]:
    """Put an answer into JSON; Any: the values differ in type."""
    usage = answer.usage
    return {
        "model": engine.name,
        "answer": answer.text,
        "reasoning": answer.reasoning if options.shows_reasoning else None,
        "finish_reason": answer.finish.reason,
        "stop": answer.finish.stop,
        "usage": {
            "prompt_tokens": usage.prompt_tokens,
            "completion_tokens": usage.completion_tokens,
            "reasoning_tokens": usage.reasoning_tokens,
        },
        "media": [_media_json(use) for use in prompt.media],
        "timings": {
            "prompt_s": round(usage.prompt_s, 4),
            "vision_s": round(usage.vision_s, 4),
            "prefill_s": round(usage.prefill_s, 4),
            "prefill_tokens_per_s": round(usage.prefill_tokens_per_s, 2),
            "decode_s": round(usage.decode_s, 4),
            "decode_tokens_per_s": round(usage.decode_tokens_per_s, 2),
            "first_token_s": round(usage.first_token_s, 4),
            "peak_bytes": usage.peak_bytes,
        },
    }


def _media_json(use: MediaUse) -> dict[str, Any]:  # Any: as above
    (height, width), (seen_height, seen_width) = use.source_size, use.resized_size
    return {
        "kind": use.kind,
        "tokens": use.num_tokens,
        "source": {"width": width, "height": height},
        "seen": {"width": seen_width, "height": seen_height},
        "is_shrunk": use.is_shrunk,
        "summary": use.summary,
    }
