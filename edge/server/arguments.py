"""Read the command line of `python -m edge.server`.

In: argv. Out: `ServerOptions`, checked. Nothing heavy is imported here, so `--help` and a wrong flag answer at once.
"""

from __future__ import annotations

import argparse
import ipaddress
import os
from collections.abc import Mapping, Sequence
from dataclasses import field
from pathlib import Path

from edge.errors import UsageError
from edge.records import dataclass
from edge.units import token_count
from edge.usage import OneLineParser
from edge.version import add_version_argument

PROGRAM = "python -m edge.server"
EXAMPLES = """\
examples:
  python -m edge.server
      the best checkpoint that is already on this computer, or the embedded demo, on http://127.0.0.1:8080
  python -m edge.server --model 8b
      Qwen3-VL-8B in 4 bits; the first time it is downloaded
  python -m edge.server --model ./my-model --models-dir ~/models
      my-model at once, the others when a client asks for them
  python -m edge.server --model ./my-model --port 11434
      where programs that know only Ollama look
  EDGE_API_KEY=secret python -m edge.server --host 0.0.0.0
      for other computers too; clients must send the key

exit status: 0 stopped, 1 failure (one line on stderr), 2 wrong usage.
"""


@dataclass(frozen=True, slots=True)
class ServerLimits:
    """Bounds of what clients may ask, hold and wait for.

    Attributes:
        body_bytes: Largest request body.
        all_bodies_bytes: What the bodies of all requests under way may take together.
        body_s: Seconds in which a body must have come.
        head_s: Seconds in which the head of a request must have come.
        send_s: Seconds in which a client must take what is written to it.
        connections: Most open connections.
        waiting: Most requests that wait for a seat; more are refused with 429.
        per_client: Most requests of one client (key, or address) at a time, waiting ones included.
        choices: Most answers of one request (`n`).
        pictures: Most pictures and videos of one request.
        visual_tokens: Most tokens of pictures and videos of one request; None sets no limit.
        answer_tokens: Most tokens of one answer; also what a request without a limit gets; None sets none.
        prepare_threads: Prompts that are prepared (pictures decoded, grammars compiled) at a time.
        unread_events: Events that may wait for a slow reader before its answer is ended.
        stored_bytes: Memory for answers that /v1/responses keeps.
    """

    body_bytes: int = 64 << 20
    all_bodies_bytes: int = 1 << 30
    body_s: float = 60.0
    head_s: float = 10.0
    send_s: float = 60.0
    connections: int = 256
    waiting: int = 64
    per_client: int = 32
    choices: int = 8
    pictures: int = 64
    visual_tokens: int | None = None
    answer_tokens: int | None = None
    prepare_threads: int = 2
    unread_events: int = 20_000
    stored_bytes: int = 256 << 20


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """What the command line asks for.

    Attributes:
        models: Folders, .gguf files, hub ids or short names of models; the first is loaded at once and is the default.
        projector: The vision file of a GGUF model named first.
        models_dir: A folder whose models are offered too.
        aliases: Other names for models; the alias "*" takes every unknown name.
        resident: Most models in memory at a time.
        keep_alive_s: Seconds an unused model stays in memory; None keeps it until another is asked for.
        host: Address to listen on.
        port: Port; 0 takes a free one.
        api_keys: Keys of which clients must send one; empty asks for none.
        allow_hosts: Host names, beside this computer's own, by which clients may call.
        allow_origins: Web pages that may call, as their `Origin` header says; "*" takes all.
        media_root: Folder below which clients may name files; None allows none.
        allows_remote_media: Whether pictures are fetched from public http(s) addresses.
        context_tokens: Most tokens of prompt and answer; None takes the model's.
        kv_bits: Bits of keys and values; None keeps the compute type.
        draft: A small model that guesses tokens ahead, for all models.
        speculates: Whether tokens are guessed and checked several in one step, where that is faster.
        rows: Most requests that run at a time.
        keep_folder: Where finished turns are kept on disk; None keeps them in memory only.
        grace_s: Seconds that running answers get when the server is told to stop.
        logs_content: Whether prompts and answers go into the log.
        limits: Bounds on clients.
    """

    models: tuple[str, ...] = ()
    projector: Path | None = None
    models_dir: Path | None = None
    aliases: Mapping[str, str] = field(default_factory=dict)
    resident: int = 1
    keep_alive_s: float | None = None
    host: str = "127.0.0.1"
    port: int = 8080
    api_keys: tuple[str, ...] = ()
    allow_hosts: tuple[str, ...] = ()
    allow_origins: tuple[str, ...] = ()
    media_root: Path | None = None
    allows_remote_media: bool = False
    context_tokens: int | None = None
    kv_bits: int | None = None
    draft: str | None = None
    speculates: bool = True
    rows: int = 16
    keep_folder: Path | None = None
    grace_s: float = 10.0
    logs_content: bool = False
    limits: ServerLimits = ServerLimits()

    @property
    def is_local(self) -> bool:
        """Whether only this computer can reach the server."""
        return is_loopback(self.host)


def is_loopback(host: str) -> bool:
    """Tell whether a host name or address means this computer only."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def parse_arguments(argv: Sequence[str] | None = None) -> ServerOptions:
    """Read the command line; exits with 2 and one line on stderr when its form is wrong.

    Raises:
        UsageError: A value is out of range, or a key is missing for an address that others can reach.
    """
    given = _make_parser().parse_args(argv)
    keys = (*given.api_key, *filter(None, [os.environ.get("EDGE_API_KEY")]))
    limits = ServerLimits(
        body_bytes=given.max_body_mb << 20,
        waiting=given.max_waiting,
        per_client=given.max_per_client,
        connections=given.max_connections,
        pictures=given.max_pictures,
        visual_tokens=given.max_visual_tokens,
        answer_tokens=given.max_tokens,
    )
    options = ServerOptions(
        models=tuple(given.model),
        projector=given.mmproj,
        models_dir=given.models_dir,
        aliases=dict(_alias(text) for text in given.alias),
        resident=given.resident,
        keep_alive_s=given.keep_alive,
        host=given.host,
        port=given.port,
        api_keys=keys,
        allow_hosts=tuple(given.allow_host),
        allow_origins=tuple(given.allow_origin),
        media_root=given.media_root,
        allows_remote_media=given.allow_remote_media,
        context_tokens=given.context,
        kv_bits=given.kv_bits,
        draft=given.draft,
        speculates=given.speculates,
        rows=given.rows,
        keep_folder=given.keep_folder,
        grace_s=given.grace,
        logs_content=given.log_content,
        limits=limits,
    )
    check_options(options)
    return options


def check_options(options: ServerOptions) -> None:
    """Refuse options that cannot work or are not safe.

    Raises:
        UsageError: Says which option, and what to do.
    """
    if not options.is_local and not options.api_keys:
        raise UsageError(
            f"--host {options.host} lets other computers call; expected --api-key KEY (or EDGE_API_KEY) beside it, "
            "found none. Give a key, or leave --host out."
        )
    if any(len(key) < 4 or not key.isascii() or not key.isprintable() or " " in key for key in options.api_keys):
        raise UsageError("--api-key: expected at least 4 letters, digits or signs without spaces. Choose another key.")
    if not 0 <= options.port <= 65535:
        raise UsageError(f"--port: expected a number from 0 to 65535, found {options.port}. Choose another.")
    limits = options.limits
    wholes = {
        "--resident": options.resident,
        "--rows": options.rows,
        "--max-body-mb": limits.body_bytes >> 20,
        "--max-per-client": limits.per_client,
        "--max-connections": limits.connections,
        "--max-pictures": limits.pictures,
        "--max-tokens": limits.answer_tokens,
        "--max-visual-tokens": limits.visual_tokens,
        "--context": options.context_tokens,
    }
    for name, value in wholes.items():
        if value is not None and value < 1:
            raise UsageError(f"{name}: expected at least 1, found {value}. Raise it.")
    if options.grace_s < 0 or (options.keep_alive_s is not None and options.keep_alive_s < 0) or limits.waiting < 0:
        raise UsageError("--grace, --keep-alive and --max-waiting: expected 0 or more. Raise them.")
    for name, folder in (("--models-dir", options.models_dir), ("--media-root", options.media_root)):
        if folder is not None and not folder.is_dir():
            raise UsageError(f"{name}: expected a folder, found none at {folder}. Check the path.")


def _alias(text: str) -> tuple[str, str]:
    name, equals, model = text.partition("=")
    if not equals or not name or not model:
        raise UsageError(f"--alias: expected NAME=MODEL, found {text!r}.")
    return name, model


def _make_parser() -> argparse.ArgumentParser:
    parser = OneLineParser(
        prog=PROGRAM,
        description="Serve Qwen3-VL checkpoints on this computer.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add_version_argument(parser)
    _add_model_options(parser)
    _add_access_options(parser)
    _add_limits(parser)
    return parser


def _add_model_options(parser: argparse.ArgumentParser) -> None:
    models, usual = parser.add_argument_group("models"), ServerOptions()
    models.add_argument(
        "--model",
        metavar="NAME",
        action="append",
        default=[],
        help="a short name (2b 4b 8b 32b 30b 235b), a folder, a .gguf file or a hub id; repeatable, the first is "
        "loaded at once",
    )
    models.add_argument("--mmproj", metavar="FILE", type=Path, help="projector of a GGUF model (default: beside it)")
    models.add_argument("--models-dir", metavar="FOLDER", type=Path, help="offer the models in this folder too")
    models.add_argument(
        "--alias",
        metavar="NAME=MODEL",
        action="append",
        default=[],
        help="another name for a model; '*=MODEL' takes every unknown name",
    )
    models.add_argument(
        "--resident",
        metavar="N",
        type=int,
        default=usual.resident,
        help="models in memory at a time (default: %(default)s)",
    )
    models.add_argument(
        "--keep-alive", metavar="S", type=float, help="unload a model unused for S seconds (default: never)"
    )
    models.add_argument(
        "--context",
        metavar="N",
        type=token_count,
        help="most tokens of prompt and answer, such as 32k (default: the model's; up to four times that, by YaRN)",
    )
    models.add_argument(
        "--kv-bits", metavar="8|4", type=int, choices=(8, 4), help="bits of keys and values (default: 16)"
    )
    models.add_argument(
        "--draft", metavar="NAME", help="a small model of the same vocabulary that guesses tokens ahead"
    )
    models.add_argument("--no-speculate", dest="speculates", action="store_false", help="one token a step, no guesses")
    models.add_argument(
        "--rows", metavar="N", type=int, default=usual.rows, help="requests that run at a time (default: %(default)s)"
    )
    models.add_argument("--keep-folder", metavar="FOLDER", type=Path, help="keep finished turns on disk here")


def _add_access_options(parser: argparse.ArgumentParser) -> None:
    access, usual = parser.add_argument_group("who may call"), ServerOptions()
    access.add_argument("--host", metavar="H", default=usual.host, help="address to listen on (default: %(default)s)")
    access.add_argument(
        "--port", metavar="N", type=int, default=usual.port, help="port (default: %(default)s); 0 takes a free one"
    )
    access.add_argument(
        "--api-key",
        metavar="KEY",
        action="append",
        default=[],
        help="clients must send it; repeatable (default: $EDGE_API_KEY, else none)",
    )
    access.add_argument(
        "--allow-host", metavar="NAME", action="append", default=[], help="a name clients may call this computer by"
    )
    access.add_argument(
        "--allow-origin", metavar="ORIGIN", action="append", default=[], help="a web page's origin that may call"
    )
    access.add_argument("--media-root", metavar="FOLDER", type=Path, help="let clients name files below this folder")
    access.add_argument(
        "--allow-remote-media", action="store_true", help="fetch pictures and videos from public http(s) addresses"
    )
    access.add_argument("--log-content", action="store_true", help="write prompts and answers into the log")


def _add_limits(parser: argparse.ArgumentParser) -> None:
    limits, usual = parser.add_argument_group("limits"), ServerOptions()
    most = usual.limits
    for name, default, text in (
        ("--max-tokens", most.answer_tokens, "most tokens of one answer (default: the context)"),
        (
            "--max-visual-tokens",
            most.visual_tokens,
            "most tokens of the pictures and videos of a request (default: no limit)",
        ),
        ("--max-pictures", most.pictures, "most pictures and videos of a request (default: %(default)s)"),
        ("--max-body-mb", most.body_bytes >> 20, "most MiB of a request (default: %(default)s)"),
        ("--max-waiting", most.waiting, "most requests that wait (default: %(default)s)"),
        ("--max-per-client", most.per_client, "most requests of one client at a time (default: %(default)s)"),
        ("--max-connections", most.connections, "most open connections (default: %(default)s)"),
    ):
        limits.add_argument(name, metavar="N", type=int, default=default, help=text)
    limits.add_argument(
        "--grace",
        metavar="S",
        type=float,
        default=usual.grace_s,
        help="seconds for answers at SIGTERM (default: %(default)g)",
    )
