"""Find the facts that lie beside the repository; tests that need them are skipped where they are absent."""

from __future__ import annotations

from pathlib import Path

import pytest

FACTS: Path = Path(__file__).resolve().parents[2] / "shared" / "facts"

needs_facts = pytest.mark.skipif(not FACTS.is_dir(), reason="needs ../shared/facts")
