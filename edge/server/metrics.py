"""Count what the server does, and tell it as Prometheus reads it.

In: the record of each finished request. Out: the text of /metrics. Labels are endpoints and statuses, never what
clients wrote, so that their number is bounded.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

BUCKETS_S = (0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)
TOKEN_KINDS = ("prompt_tokens", "cached_tokens", "completion_tokens", "reasoning_tokens")


class Histogram:
    """How many values lie below each bound."""

    def __init__(self) -> None:
        self.counts = [0] * len(BUCKETS_S)
        self.num = 0
        self.sum_s = 0.0

    def add(self, seconds: float) -> None:
        """Count a value."""
        self.num += 1
        self.sum_s += seconds
        for place, bound in enumerate(BUCKETS_S):
            self.counts[place] += seconds <= bound

    def lines(self, name: str, labels: str = "") -> Iterator[str]:
        """Write it down."""
        comma = "," if labels else ""
        for bound, count in zip(BUCKETS_S, self.counts, strict=True):
            yield f'{name}_bucket{{{labels}{comma}le="{bound}"}} {count}'
        yield f'{name}_bucket{{{labels}{comma}le="+Inf"}} {self.num}'
        braces = f"{{{labels}}}" if labels else ""
        yield f"{name}_sum{braces} {self.sum_s:.6f}"
        yield f"{name}_count{braces} {self.num}"


class Metrics:
    """The counts of one server; used on its asyncio loop only."""

    def __init__(self) -> None:
        self._requests: Counter[tuple[str, int]] = Counter()
        self._tokens: Counter[str] = Counter()
        self._gone = 0
        self._seconds = Histogram()
        self._first_token = Histogram()

    def count(self, record: Mapping[str, Any], seconds: float, *, endpoint: str) -> None:
        """Count a finished request.

        Args:
            record: Its line in the log.
            seconds: How long it took.
            endpoint: Which endpoint answered.
        """
        self._requests[endpoint, int(record["status"])] += 1
        self._gone += bool(record.get("client_gone")) or record["status"] == 499
        if "model" in record:
            self._seconds.add(seconds)
        for kind in TOKEN_KINDS:
            self._tokens[kind] += int(record.get(kind, 0))
        if "first_token_s" in record:
            self._first_token.add(float(record["first_token_s"]))

    def text(self, gauges: Mapping[str, tuple[str, float]]) -> str:
        """Write everything down.

        Args:
            gauges: Further values of now: name -> what it is, and the value.
        """
        lines = ["# HELP edge_requests_total Requests that ended.", "# TYPE edge_requests_total counter"]
        for (endpoint, status), count in sorted(self._requests.items()):
            lines.append(f'edge_requests_total{{endpoint="{endpoint}",status="{status}"}} {count}')
        lines += ["# HELP edge_tokens_total Tokens of finished answers.", "# TYPE edge_tokens_total counter"]
        lines += [f'edge_tokens_total{{kind="{kind}"}} {self._tokens[kind]}' for kind in TOKEN_KINDS]
        lines += [
            "# HELP edge_clients_gone_total Requests whose client left early.",
            "# TYPE edge_clients_gone_total counter",
            f"edge_clients_gone_total {self._gone}",
        ]
        for name, help_text, histogram in (
            ("edge_request_seconds", "Seconds of requests to a model.", self._seconds),
            ("edge_first_token_seconds", "Seconds to the first token.", self._first_token),
        ):
            lines += [f"# HELP {name} {help_text}", f"# TYPE {name} histogram", *histogram.lines(name)]
        for name, (help_text, value) in gauges.items():
            lines += [f"# HELP {name} {help_text}", f"# TYPE {name} gauge", f"{name} {value}"]
        return "\n".join(lines) + "\n"
