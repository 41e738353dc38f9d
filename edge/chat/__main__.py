"""`python -m edge.chat`: ask a checkpoint once, or talk with it."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from edge.chat.arguments import ChatOptions, parse_arguments
from edge.chat.screen import Screen
from edge.errors import ConfigError, EdgeError, RequestError, UsageError

INTERRUPTED = 130
REAL_MODEL = "python -m edge.chat --model Qwen/Qwen3-VL-4B-Instruct"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program; return its exit code."""
    options = parse_arguments(argv)
    screen = Screen(sys.stdout, sys.stderr)
    try:
        return _run(options, screen)
    except EdgeError as error:
        screen.error(str(error))
        return error.exit_code
    except KeyboardInterrupt:
        screen.end_line()
        return INTERRUPTED
    except BrokenPipeError:
        # The reader of the pipe is gone; Python would complain again when it flushes stdout at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:
        if os.environ.get("EDGE_DEBUG"):
            raise
        screen.error(f"internal error, please report: {type(error).__name__}: {error} (EDGE_DEBUG=1 shows where)")
        return 1


def _run(options: ChatOptions, screen: Screen) -> int:
    text = _read_prompt(options)
    _check_request(options)
    from edge.loading import load

    engine = load(options.model, projector=options.projector, adapter=options.adapter)
    notice = f"Model: {engine.name}."
    if options.model is None:
        notice = f"This is the small embedded demo checkpoint; for the real model: {REAL_MODEL}"
    if text is not None:
        from edge.chat.one_shot import answer_once

        is_noted = options.model is None or options.shows_stats
        return answer_once(engine, options, text, screen=screen, out=sys.stdout, notice=notice if is_noted else "")
    from edge.chat.talk import Talk
    from edge.chat.terminal import run_talk

    return run_talk(Talk(engine, options, screen), screen, notice=notice)


def _read_prompt(options: ChatOptions) -> str | None:
    """Take the prompt from the command line or the pipe; None means a talk."""
    text = options.prompt
    if text == "-" or (text is None and not sys.stdin.isatty()):
        text = sys.stdin.read()
    if text is None:
        if options.is_json or not sys.stdout.isatty():
            raise UsageError("A talk needs a terminal. Give a PROMPT on the command line or through a pipe.")
        return None
    if not text.strip():
        raise UsageError("The prompt is empty. Give a PROMPT on the command line or through a pipe.")
    return text


def _check_request(options: ChatOptions) -> None:
    """Check the numbers before seconds go into loading; wrong ones are wrong usage."""
    from edge.request import Request
    from edge.run.sample import SamplingParams
    from edge.settings import ImageSettings

    try:
        ImageSettings().with_limits(min_pixels=options.min_pixels, max_pixels=options.max_pixels)
        SamplingParams(**options.sampling)  # type: ignore[arg-type]  # argparse made the right type of each
        Request(
            messages=(),
            max_tokens=options.max_tokens,
            stop=options.stop,
            thinking_budget=options.thinking_budget,
        )
    except (ConfigError, RequestError) as error:
        raise UsageError(str(error)) from error
    if options.save is not None and options.save.exists():
        raise UsageError(f"--save: {options.save} exists. Choose another name.")
    if options.fps is not None and not 0 < options.fps < float("inf"):
        raise UsageError(f"fps: expected a number over 0, found {options.fps}. Raise it.")


if __name__ == "__main__":
    sys.exit(main())
