"""What a load did: how many answers were right, how long they took, and what became of the server's memory."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from tests.system.load.client import Note

MB = 1_000_000


@dataclass(frozen=True, slots=True)
class Sample:
    """The server at one moment.

    Attributes:
        at_s: Seconds since the load began.
        rss_bytes: Resident memory.
        num_threads: Threads.
        num_files: Open files, sockets included.
    """

    at_s: float
    rss_bytes: int
    num_threads: int
    num_files: int


@dataclass(frozen=True, slots=True)
class Report:
    """A finished load.

    Attributes:
        seconds: How long it took.
        notes: What became of each request.
        samples: The server's memory over time.
        after: The server when all clients had left.
        faults: Lines of the server's log that must not be.
    """

    seconds: float
    notes: Sequence[Note]
    samples: Sequence[Sample]
    after: Sample
    faults: Sequence[str]

    @property
    def outcomes(self) -> Counter[str]:
        """How many requests ended how."""
        return Counter(note.outcome for note in self.notes)

    @property
    def failures(self) -> list[Note]:
        """Answers that were wrong, and whatever must never be."""
        return [note for note in self.notes if note.outcome in ("wrong", "fault")]

    def quarter_bytes(self, index: int) -> float:
        """Return the median of the memory in one quarter of the time, 0 to 3."""
        size = max(1, len(self.samples) // 4)
        return statistics.median(one.rss_bytes for one in self.samples[index * size : (index + 1) * size])

    @property
    def growth_bytes_per_hour(self) -> float:
        """How fast memory grew over the second half of the time, by least squares."""
        half = self.samples[len(self.samples) // 2 :]
        line = statistics.linear_regression([one.at_s for one in half], [one.rss_bytes for one in half])
        return line.slope * 3600

    def lines(self) -> list[str]:
        """Write it down for people."""
        told = ", ".join(f"{count} {outcome}" for outcome, count in sorted(self.outcomes.items()))
        quarters = ", ".join(f"{self.quarter_bytes(index) / MB:.0f}" for index in range(4))
        first, last = self.samples[0], self.after
        return [
            f"{self.seconds:.0f} s, {len(self.notes)} requests: {told}",
            f"memory, median of each quarter: {quarters} MB; highest {max(s.rss_bytes for s in self.samples) / MB:.0f}"
            f" MB; {self.growth_bytes_per_hour / MB:+.1f} MB an hour over the second half",
            f"threads {first.num_threads} before, {last.num_threads} after; "
            f"open files {first.num_files} before, {last.num_files} after",
            f"faults in the log: {len(self.faults)}",
            "| kind | answers | first byte p50 | p95 | p99 | whole p50 | p95 | p99 | longest |",
            "|---|---|---|---|---|---|---|---|---|",
            *self._rows(),
        ]

    def _rows(self) -> list[str]:
        right = [note for note in self.notes if note.outcome == "right"]
        names = sorted({note.kind for note in right})
        rows = [("all", right), *((name, [note for note in right if note.kind == name]) for name in names)]
        return [
            f"| {name} | {len(notes)} | {_percentiles([note.first_s for note in notes])} "
            f"| {_percentiles([note.total_s for note in notes])} | {max(note.total_s for note in notes):.2f} s |"
            for name, notes in rows
            if notes
        ]


def _percentiles(values: Sequence[float]) -> str:
    ordered = sorted(values)
    return " | ".join(
        f"{ordered[min(len(ordered) - 1, int(share * len(ordered)))]:.2f} s" for share in (0.5, 0.95, 0.99)
    )
