"""`python -m edge.bench`: measure a checkpoint on this computer, and count what a token costs."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from edge.bench.arguments import PROGRAM, BenchOptions, parse_arguments
from edge.errors import EdgeError, UsageError
from edge.units import one_line
from edge.usage import file_failure

if TYPE_CHECKING:
    from edge.bench.figures import Figure, Report
    from edge.config import ModelConfig
    from edge.engine import Engine

INTERRUPTED = 130
Step = Callable[[], "Iterator[Figure]"]


def main(argv: Sequence[str] | None = None) -> int:
    """Measure what the command line asks for; return the exit status."""
    words = list(sys.argv[1:] if argv is None else argv)
    options = parse_arguments(words)
    try:
        return _measure(options, " ".join([PROGRAM, *words]))
    except KeyboardInterrupt:
        return INTERRUPTED
    except EdgeError as error:
        print(f"edge.bench: {error}", file=sys.stderr)
        return error.exit_code
    except OSError as error:
        print(f"edge.bench: {file_failure(error)}", file=sys.stderr)
        return 1
    except (RuntimeError, MemoryError) as error:  # the outermost line: whatever failed is one line
        print(f"edge.bench: {one_line(f'{type(error).__name__}: {error}')}", file=sys.stderr)
        return 1


def _measure(options: BenchOptions, command: str) -> int:
    from edge.bench.figures import Report
    from edge.bench.machine import this_machine
    from edge.version import describe_version

    _check_writable(options)
    report = Report(_name(options), this_machine(), describe_version(), command, date.today().isoformat())
    say = _sayer(options)
    say(f"{report.machine.line()}. {report.versions}.")
    told: list[str] = []
    try:
        for figure in _figures(options, report):
            _say_notes(say, report, told)
            report.figures.append(figure)
            _say_figure(say, figure)
        report.is_complete = True
    except KeyboardInterrupt:
        say("Interrupted; what was measured so far is kept.")
    finally:  # a failure keeps what was measured too
        _write(options, report)
    _say_notes(say, report, told)
    return 0 if report.is_complete else INTERRUPTED


def _name(options: BenchOptions) -> str:
    if not options.is_device_check:
        return options.model or "demo"
    from edge.bench.device_check import check_name

    return check_name(_random_config(options))


def _random_config(options: BenchOptions) -> ModelConfig:
    from edge.bench.device_check import check_config

    return check_config(options.layers, is_large=True if options.real_widths else None)


def _figures(options: BenchOptions, report: Report) -> Iterator[Figure]:
    """Yield the figures of what was asked for."""
    if options.is_device_check:
        from edge.bench.device_check import check_figures

        yield from check_figures(_random_config(options), report.notes)
        return
    from edge.limits import EngineLimits
    from edge.loading import load

    limits = EngineLimits(kv_bits=options.kv_bits, max_rows=max(options.rows), wire=options.wires)
    with load(options.model, projector=options.projector, limits=limits) as engine:
        for step in _engine_steps(options, report, engine):
            yield from step()
    if not options.is_graph and options.against is None:
        from edge.bench.processes import cold_figures, restore_figures

        yield from cold_figures(options.model, options.projector, None, options.repeats)
        yield from restore_figures(options.model, options.projector, max(options.depths), options.repeats)


def _engine_steps(options: BenchOptions, report: Report, engine: Engine) -> Iterator[Step]:
    """Yield what is measured with a loaded engine, one family of figures a step."""
    from edge.bench import measures
    from edge.bench.asking import Asking

    if options.is_graph:
        from edge.bench.token_cost import token_cost

        yield lambda: measures.graph_figures(engine.call_model(lambda model: token_cost(measures.whole(model))))
        return
    _check_depths(options, engine.context_tokens)
    asking = Asking(engine)
    asked = measures.Asked(options.depths, options.rows, options.pictures, options.tokens, options.repeats)
    asking.run(asking.prompt(min(options.depths)), 4)  # warm
    if options.against is not None:
        from edge.bench.against import Server, paired_figures

        server = Server(options.against)
        report.notes.append(f"The other is {server.model} at {server.url}.")
        picture = options.pictures[0] if options.pictures else None
        yield lambda: paired_figures(
            asking, server, depths=asked.depths, picture=picture, tokens=asked.tokens, pairs=asked.repeats
        )
        return

    def speed(depth: int) -> float:
        found = [f.value for f in report.figures if f.what == "decode" and f.settings.get("tokens") == depth]
        return found[0]

    yield lambda: measures.depth_figures(asking, asked)
    yield lambda: measures.row_figures(asking, asked)
    yield lambda: measures.warm_figures(asking, asked)
    yield lambda: measures.picture_figures(asking, asked)
    yield lambda: measures.cost_figures(asking, asked, report.machine, speed)


def _check_depths(options: BenchOptions, context_tokens: int) -> None:
    """Refuse prompts that leave no room for an answer, before others are measured.

    Raises:
        UsageError: Names the depth and the context.
    """
    deepest = max(options.depths)
    if deepest + options.tokens > context_tokens:
        raise UsageError(
            f"--depths {deepest}: expected at most {context_tokens - options.tokens}, as the context holds "
            f"{context_tokens} tokens and --tokens {options.tokens} follow. Lower it."
        )


def _check_writable(options: BenchOptions) -> None:
    """Refuse files that could not be written at the end.

    Raises:
        EdgeError: A folder is missing, or stands in the file's place.
        OSError: The file cannot be opened for another reason.
    """
    for path in (options.json, options.plot, options.card):
        if path is None or str(path) == "-":
            continue
        file = Path(path).absolute()
        if not file.parent.is_dir():
            raise EdgeError(f"{path}: expected a file in a folder that is there. Make the folder first.")
        if file.is_dir():
            raise EdgeError(f"{path or 'the name of a file'}: expected a file, found a folder. Name a file in it.")
        is_new = not file.exists()
        file.open("ab").close()
        if is_new:
            file.unlink()


def _write(options: BenchOptions, report: Report) -> None:
    from edge.bench.figures import card, to_json
    from edge.bench.plot import to_svg

    if options.json == "-":
        print(to_json(report))
    elif options.json is not None:
        Path(options.json).write_text(to_json(report) + "\n", encoding="utf-8")
    if options.plot is not None:
        options.plot.write_text(to_svg(report), encoding="utf-8")
    if options.card is not None:
        options.card.write_text(card(report), encoding="utf-8")


def _sayer(options: BenchOptions) -> Callable[[str], None]:
    """Return what prints lines: to stderr where stdout gets JSON."""
    stream = sys.stderr if options.json == "-" else sys.stdout
    return lambda text: print(text, file=stream, flush=True)


def _say_notes(say: Callable[[str], None], report: Report, told: list[str]) -> None:
    """Print notes that came since the last time: a reader has to know some before the figures."""
    for note in report.notes[len(told) :]:
        say(note)
        told.append(note)


def _say_figure(say: Callable[[str], None], figure: Figure) -> None:
    from edge.bench.figures import line

    say(line(figure))


if __name__ == "__main__":
    sys.exit(main())
