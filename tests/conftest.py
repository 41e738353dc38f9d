"""For all tests: children can be interrupted, start quickly, and numpy and torch compute with one thread.

A shell starts background jobs with SIGINT ignored, every child inherits that, and Python then never raises
KeyboardInterrupt; a run of the tests in the background would find Ctrl-C without effect.

Where byte code is not kept, each of hundreds of children compiles the whole package anew.

Threads of numpy's OpenBLAS and of torch wait for each other in loops: where other tests use the other processors, small
products take ten times the processor time. It is set before either is imported, and children inherit it.
"""

from __future__ import annotations

import os
import signal
import sys

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
    os.environ.setdefault(name, "1")
