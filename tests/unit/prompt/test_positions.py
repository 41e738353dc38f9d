from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.errors import PromptError
from edge.prompt.positions import Span, make_positions


def test_text_counts_up_on_all_axes() -> None:
    assert make_positions(4, [], merge_size=2).tolist() == [[0, 1, 2, 3]] * 3


def test_a_picture_spans_its_grid_and_text_goes_on_after_the_longer_side() -> None:
    span = Span(start=2, length=6, media_index=0, media_offset=0, grid=(1, 4, 6))
    time, height, width = make_positions(10, [span], merge_size=2).tolist()
    assert time == [0, 1, 2, 2, 2, 2, 2, 2, 5, 6]
    assert height == [0, 1, 2, 2, 2, 3, 3, 3, 5, 6]
    assert width == [0, 1, 2, 3, 4, 2, 3, 4, 5, 6]


def test_later_pictures_get_grid_positions_too() -> None:
    spans = [Span(1, 4, 0, 0, (1, 4, 4)), Span(6, 2, 1, 0, (1, 4, 2))]
    time, height, width = make_positions(9, spans, merge_size=2).tolist()
    assert time == [0, 1, 1, 1, 1, 3, 4, 4, 6]
    assert height == [0, 1, 1, 2, 2, 3, 4, 5, 6]
    assert width == [0, 1, 2, 1, 2, 3, 4, 4, 6]


SIZES = st.tuples(st.integers(1, 6), st.integers(1, 6), st.integers(0, 5))


@settings(deadline=None)
@given(st.lists(SIZES, max_size=6), st.integers(0, 5))
def test_positions_never_collide_across_spans(sizes: list[tuple[int, int, int]], tail: int) -> None:
    spans: list[Span] = []
    token = 0
    for rows, columns, text in sizes:
        token += text
        spans.append(Span(token, rows * columns, len(spans), 0, (1, 2 * rows, 2 * columns)))
        token += rows * columns
    positions = make_positions(token + tail, spans, merge_size=2)
    assert positions.shape == (3, token + tail)
    assert positions.dtype == np.int32
    assert len({tuple(column) for column in positions.T.tolist()}) == token + tail
    highest = -1
    for span in spans:
        inside = positions[:, span.start : span.end]
        assert inside.min() > highest
        highest = inside.max()


@pytest.mark.parametrize(
    "span",
    [
        Span(0, 5, 0, 0, (1, 4, 4)),  # 4 tokens by its grid
        Span(8, 4, 0, 0, (1, 4, 4)),  # past the end
        Span(0, 4, 0, 0, (1, 3, 6)),  # not a multiple of the merge size
    ],
)
def test_spans_that_do_not_fit_are_refused(span: Span) -> None:
    with pytest.raises(PromptError, match="visual span"):
        make_positions(10, [span], merge_size=2)


def test_overlapping_spans_are_refused() -> None:
    with pytest.raises(PromptError, match="overlaps"):
        make_positions(10, [Span(1, 4, 0, 0, (1, 4, 4)), Span(4, 4, 1, 0, (1, 4, 4))], merge_size=2)
