from __future__ import annotations

from pathlib import Path

import pytest

from edge.errors import UsageError
from edge.server.arguments import is_loopback, parse_arguments


@pytest.fixture(autouse=True)
def no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EDGE_API_KEY", raising=False)


def test_by_default_only_this_computer_can_call() -> None:
    options = parse_arguments([])
    assert (options.host, options.port, options.is_local, options.api_keys) == ("127.0.0.1", 8080, True, ())


def test_guesses_are_on_unless_told_otherwise() -> None:
    assert parse_arguments([]).speculates
    options = parse_arguments(["--no-speculate", "--draft", "small"])
    assert (options.speculates, options.draft) == (False, "small")


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.2", "name.local"])
def test_another_address_needs_a_key(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="--api-key"):
        parse_arguments(["--host", host])
    assert parse_arguments(["--host", host, "--api-key", "secret"]).api_keys == ("secret",)
    monkeypatch.setenv("EDGE_API_KEY", "other-secret")
    assert parse_arguments(["--host", host]).api_keys == ("other-secret",)


@pytest.mark.parametrize(
    ("host", "is_local"), [("localhost", True), ("127.3.2.1", True), ("::1", True), ("a.b", False)]
)
def test_addresses_of_this_computer_are_known(host: str, is_local: bool) -> None:
    assert is_loopback(host) is is_local


@pytest.mark.parametrize(
    "arguments",
    [
        ["--api-key", "abc"],
        ["--api-key", "with space"],
        ["--port", "-1"],
        ["--rows", "0"],
        ["--resident", "0"],
        ["--max-body-mb", "0"],
        ["--max-per-client", "0"],
        ["--grace", "-1"],
        ["--keep-alive", "-1"],
        ["--media-root", "/none"],
        ["--alias", "=x"],
        ["--max-tokens", "0"],
    ],
)
def test_values_that_cannot_work_are_refused(arguments: list[str]) -> None:
    with pytest.raises(UsageError, match=arguments[0]):
        parse_arguments(arguments)


def test_everything_that_is_given_is_kept(tmp_path: Path) -> None:
    options = parse_arguments(
        [
            *("--model", "a", "--model", "b", "--alias", "x=a", "--alias", "*=b", "--max-tokens", "9"),
            *("--allow-origin", "https://a.example", "--media-root", str(tmp_path), "--allow-remote-media"),
        ]
    )
    assert options.models == ("a", "b")
    assert options.aliases == {"x": "a", "*": "b"}
    assert options.limits.answer_tokens == 9
    assert options.allow_origins == ("https://a.example",)
    assert (options.media_root, options.allows_remote_media) == (tmp_path, True)
