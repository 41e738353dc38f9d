"""schemathesis against the server's own document: whatever it makes of it is answered as the document says."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import Unsatisfiable

from edge.server.arguments import ServerLimits, ServerOptions
from edge.server.running import BackgroundServer

schemathesis = pytest.importorskip("schemathesis", reason="schemathesis is not here (extra `test`)")
CHECKS = pytest.importorskip("schemathesis.checks").CHECKS


NOT_HERE = ("/v1/embeddings", "/api/embed", "/api/embeddings")
"""These answer 501, as the document says: there are no embeddings."""
SERVER_ERROR = "not_a_server_error"
CHECK_NAMES = (
    SERVER_ERROR, "response_schema_conformance", "content_type_conformance", "status_code_conformance"
)  # fmt: skip


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    limits = ServerLimits(answer_tokens=2)
    with BackgroundServer(ServerOptions(port=0, models=("demo",), limits=limits)) as running:
        yield running.url


@pytest.mark.parametrize(
    ("examples", "seconds"),
    [pytest.param(2, 90, id="once"), pytest.param(25, 1800, id="half an hour", marks=pytest.mark.long)],
)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # schemathesis's own imports
def test_what_the_document_allows_is_answered_as_it_says(url: str, examples: int, seconds: float) -> None:
    document = schemathesis.openapi.from_url(f"{url}/openapi.json")
    operations = [result.ok() for result in document.get_all_operations()]
    statuses: Counter[int] = Counter()
    deadline = time.monotonic() + seconds
    num_rounds = 2 if examples == 2 else 1_000_000
    for number in range(num_rounds):
        for operation in operations:
            if time.monotonic() < deadline:
                _send_some(operation, statuses, count=examples, number=number, deadline=deadline)
        if time.monotonic() > deadline:
            break
    print(f"{statuses.total()} requests, {number} whole rounds over {len(operations)} operations: {dict(statuses)}")
    assert 200 in statuses


def _send_some(operation: Any, statuses: Counter[int], *, count: int, number: int, deadline: float) -> None:
    """Send some requests to one operation, valid and invalid ones by turns."""
    mode = schemathesis.GenerationMode.NEGATIVE if number % 2 else schemathesis.GenerationMode.POSITIVE
    checks = [CHECKS.get_one(name) for name in CHECK_NAMES if name != SERVER_ERROR or operation.path not in NOT_HERE]

    @seed(number)
    @settings(
        max_examples=count,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def send(case: Any) -> None:
        if time.monotonic() < deadline:
            response = case.call(timeout=120)
            statuses[response.status_code] += 1
            case.validate_response(response, checks=checks)

    try:
        send()
    except Unsatisfiable:
        assert mode is schemathesis.GenerationMode.NEGATIVE  # a path without parameters takes nothing invalid
