"""`python -m convert calibrate SOURCE OUT.calib`: read the command line, collect, and say what saw too little."""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from convert.arguments import add_source_arguments
from convert.calibration.file import BUILTIN

if TYPE_CHECKING:
    from convert.verify.samples import SampleSet
    from edge.prompt.processor import Processor

_MOST_LISTED = 12  # experts of a layer in one line
EXAMPLES = """\
what it is for:
  Rounding a matrix to 4 bits has to lose something. A calibration records what every matrix of the model sees while
  it reads prompts, so that `convert mlx --calibration` can lose what matters least, and how much each matrix matters.
  It is made once per model, and serves every recipe and size.

examples:
  python -m convert calibrate ./Qwen3-VL-30B-A3B-Instruct 30b.calib
  python -m convert mlx ./Qwen3-VL-30B-A3B-Instruct ./30b-4bit --recipe 4bit --calibration 30b.calib
  python -m convert calibrate ./source mine.calib --prompts mine.jsonl
      your own prompts: one JSON object per line, {"messages": [...]}, with pictures; answers at the end help

The prompts should look like what the model will be asked, and must not be those it is measured on. An expert needs
some hundred tokens of its own: for 128 experts that is about 40,000 tokens in all. What saw less is listed, and leans
on what its whole layer sees. An interrupted run stays in OUT.partial; the same command goes on with it.
exit status: 0 done, 1 failure (one line on stderr), 2 wrong usage, 130 interrupted.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command line."""
    parser.usage = "%(prog)s SOURCE OUT.calib [options]"
    parser.epilog = EXAMPLES
    add_source_arguments(parser, can_stream=False)
    parser.add_argument("out", metavar="OUT.calib", type=Path, help="folder to make")
    parser.add_argument("--prompts", default=BUILTIN, metavar="FILE", help="JSONL of messages (default: builtin)")
    parser.add_argument("--no-fisher", action="store_true", help="leave out the way back: a third of the time")


def run(arguments: argparse.Namespace) -> int:
    """Calibrate; return the exit code.

    Raises:
        EdgeError: Something a user can put right.
    """
    import mlx.core as mx

    from convert.calibration.run import Settings, calibrate
    from convert.final import check_out
    from convert.opening import opened_source
    from edge.prompt.processor import Processor

    out: Path = arguments.out
    check_out(out)
    arguments.stream = False
    with opened_source(arguments, out, dtype=mx.float32) as (source, _):
        processor = Processor.from_folder(source.files.folder, source.checkpoint.config)
        samples = _samples(arguments.prompts, processor)
        settings = Settings(prompts=_shown(arguments.prompts), has_fisher=not arguments.no_fisher)
        few = calibrate(source, samples, out, settings=settings, say=_say)
    for layer, counts in few.items():
        _say(f"layer {layer}: {_describe_few(counts)}")
    print(f"{out}: {samples.num_tokens:,} tokens of {len(samples.samples)} prompts.")
    places = [shlex.quote(str(place)) for place in (arguments.source, out)]
    print(f"Next: python -m convert mlx {places[0]} OUT --recipe 4bit --calibration {places[1]}")
    return 0


def _samples(prompts: str, processor: Processor) -> SampleSet:
    from convert.calibration.prompts import builtin_prompts
    from convert.verify.samples import make_samples, read_conversations

    conversations = list(builtin_prompts()) if prompts == BUILTIN else read_conversations(prompts)
    return make_samples(conversations, processor)


def _shown(prompts: str) -> str:
    """Write the prompts for the record, without paths of this machine."""
    return BUILTIN if prompts == BUILTIN else Path(prompts).name


def _describe_few(counts: dict[str, Any]) -> str:
    order = sorted(counts, key=lambda expert: (counts[expert], int(expert)))
    named = ", ".join(f"{expert} ({counts[expert]})" for expert in order[:_MOST_LISTED])
    rest = f" and {len(order) - _MOST_LISTED} more, in calibration.json" if len(order) > _MOST_LISTED else ""
    return f"{len(order)} experts saw too few tokens of their own: {named}{rest}"


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
