"""`python -m edge.server`: serve checkpoints on this computer."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence

from edge.errors import EdgeError
from edge.server.arguments import ServerOptions, parse_arguments
from edge.usage import file_failure


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program; return its exit code."""
    try:
        return _serve(parse_arguments(argv))
    except EdgeError as error:
        print(f"edge.server: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    except OSError as error:
        print(f"edge.server: {file_failure(error)}", file=sys.stderr)
        return 1
    except Exception as error:
        if os.environ.get("EDGE_DEBUG"):
            raise
        print(
            f"edge.server: internal error, please report: {type(error).__name__}: {error} (EDGE_DEBUG=1 shows where)",
            file=sys.stderr,
        )
        return 1


def _serve(options: ServerOptions) -> int:
    try:
        from edge.server.app import make_app
    except ImportError as error:
        raise EdgeError(f"The server needs {error.name}. Install it: pip install 'qwen3vl-edge[server]'") from None
    from edge.server.log import start_log
    from edge.server.running import make_server, open_socket, start_error

    app = make_app(options)
    listener = open_socket(options)
    start_log()
    server = make_server(app, options)
    host, port = listener.getsockname()[:2]
    address = f"http://{f'[{host}]' if ':' in host else host}:{port}"
    hint = " (open it in a browser to talk; Ctrl-C ends)" if options.is_local else ""
    print(f"edge.server: {address}{hint}", file=sys.stderr)
    # uvicorn hands on the signals that ended it; by then everything is done.
    for one in (signal.SIGTERM, signal.SIGINT):
        signal.signal(one, lambda *_: None)
    try:
        server.run(sockets=[listener])
    except SystemExit:
        raise start_error(app) from None
    return 0


if __name__ == "__main__":
    sys.exit(main())
