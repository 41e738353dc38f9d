"""For all tests: children can be interrupted.

A shell starts background jobs with SIGINT ignored, every child inherits that, and Python then never raises
KeyboardInterrupt; a run of the tests in the background would find Ctrl-C without effect.
"""

from __future__ import annotations

import signal

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
