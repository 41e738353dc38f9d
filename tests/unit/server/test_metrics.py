from __future__ import annotations

from edge.server.metrics import Metrics
from tests.unit.server.conftest import Caller


def test_requests_tokens_and_seconds_are_counted() -> None:
    metrics = Metrics()
    record = {"status": 200, "model": "m", "prompt_tokens": 7, "completion_tokens": 3, "first_token_s": 0.2}
    metrics.count(record, 1.2, endpoint="openai.chat")
    metrics.count({"status": 499, "model": "m"}, 200.0, endpoint="openai.chat")
    lines = metrics.text({"edge_working": ("Now.", 2)}).splitlines()
    for line in (
        'edge_requests_total{endpoint="openai.chat",status="200"} 1',
        'edge_tokens_total{kind="prompt_tokens"} 7',
        "edge_clients_gone_total 1",
        'edge_request_seconds_bucket{le="1.0"} 0',
        'edge_request_seconds_bucket{le="2.5"} 1',
        'edge_request_seconds_bucket{le="+Inf"} 2',
        "edge_request_seconds_sum 201.200000",
        'edge_first_token_seconds_bucket{le="0.5"} 1',
        "edge_working 2",
    ):
        assert line in lines


def test_labels_are_endpoints_and_never_what_clients_wrote(caller: Caller) -> None:
    caller.get("/v1/secret-path")
    caller.chat()
    text = caller.get("/metrics").body.decode()
    assert 'edge_requests_total{endpoint="openai.chat_completions",status="200"}' in text
    assert 'endpoint="none",status="404"' in text
    assert "secret-path" not in text
