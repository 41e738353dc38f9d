"""For all tests: children can be interrupted, and start quickly.

A shell starts background jobs with SIGINT ignored, every child inherits that, and Python then never raises
KeyboardInterrupt; a run of the tests in the background would find Ctrl-C without effect.

Where byte code is not kept, each of hundreds of children compiles the whole package anew.
"""

from __future__ import annotations

import os
import signal
import sys

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False
