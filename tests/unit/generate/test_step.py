from __future__ import annotations

import mlx.core as mx
import numpy as np
import pytest

from edge.generate.sampling import SamplingParams
from edge.generate.step import visual_rows
from edge.kv.make import make_memory
from tests.unit.generate.tiny import begin, continued, picture_prompt, prompt_of, see, take, tiny_config, tiny_model

LENGTH = len(picture_prompt().token_ids)


def whole_logits(token_ids: np.ndarray, positions: np.ndarray, *, seed: int = 0) -> np.ndarray:
    """Logits (L, V) of one forward over everything."""
    prompt = picture_prompt(seed)
    rows = visual_rows(prompt.spans, see(prompt), start=0, stop=len(token_ids))
    logits = tiny_model()(mx.array(token_ids[None]), positions=positions[:, None], visual=rows)
    return np.array(logits[0])


def chunked_logits(chunk_tokens: int) -> np.ndarray:
    """Logits (L, V) chunk by chunk over one memory."""
    prompt, outputs, memory = picture_prompt(), see(picture_prompt()), make_memory(tiny_config().text, kv_bits=None)
    parts = []
    for start in range(0, LENGTH, chunk_tokens):
        stop = min(start + chunk_tokens, LENGTH)
        logits = tiny_model()(
            mx.array(prompt.token_ids[None, start:stop]),
            positions=prompt.positions[:, None, start:stop],
            memory=[memory],
            visual=visual_rows(prompt.spans, outputs, start=start, stop=stop),
        )
        parts.append(np.array(logits[0]))
    return np.concatenate(parts)


@pytest.mark.parametrize("chunk_tokens", [1, 7, 16, LENGTH])
def test_chunks_inside_a_picture_give_the_logits_of_one_forward_peers_2(chunk_tokens: int) -> None:
    prompt = picture_prompt()
    expected = whole_logits(prompt.token_ids, prompt.positions)
    found = chunked_logits(chunk_tokens)
    assert np.abs(found - expected).max() <= 2e-5 * np.abs(expected).max()


@pytest.mark.parametrize("chunk_tokens", [1, 7, 16, LENGTH])
def test_greedy_tokens_do_not_depend_on_the_chunk_peers_2(chunk_tokens: int) -> None:
    assert take(begin(picture_prompt(), chunk_tokens=chunk_tokens), 12) == take(begin(picture_prompt()), 12)


def test_decoding_equals_a_full_forward_after_pictures_peers_16() -> None:
    prompt = picture_prompt()
    tokens = take(begin(prompt), 10)
    longer = continued(prompt, tokens)
    logits = whole_logits(longer.token_ids, longer.positions)
    assert logits[LENGTH - 1 : -1].argmax(axis=-1).tolist() == tokens


def test_decoding_goes_on_after_the_largest_position_not_after_the_length_peers_16() -> None:
    prompt = picture_prompt()
    longer = continued(prompt, [7, 8])
    assert prompt.next_position < LENGTH
    assert longer.positions[:, -2:].tolist() == [[prompt.next_position, prompt.next_position + 1]] * 3


def test_two_interleaved_generations_equal_two_separate_ones_peers_3() -> None:
    first, second = picture_prompt(), prompt_of([1, 2, 3, 4, 30, 31])
    alone = take(begin(first), 8), take(begin(second), 8)
    a, b = begin(first), begin(second)
    mixed: tuple[list[int], list[int]] = ([], [])
    for _ in range(8):
        mixed[0].append(a.next_token())
        mixed[1].append(b.next_token())
    assert mixed == alone


def test_interleaved_requests_keep_their_own_settings_and_seeds_peers_10() -> None:
    prompt = picture_prompt()
    params = [SamplingParams(temperature=1.3, seed=1), SamplingParams(temperature=0.7, top_k=5, seed=2)]
    alone = [take(begin(prompt, params=p), 8) for p in params]
    running = [begin(prompt, params=p) for p in params]
    mixed: list[list[int]] = [[], []]
    for _ in range(8):
        for index, generation in enumerate(running):
            mixed[index].append(generation.next_token())
    assert mixed == alone
    assert alone[0] != alone[1]


def test_the_cache_holds_what_num_cached_says() -> None:
    generation = begin(picture_prompt())
    assert generation.num_cached == LENGTH == generation.cache[0].offset
    generation.next_token()
    assert generation.num_cached == LENGTH + 1 == generation.cache[0].offset
    generation.next_token(is_last=True)
    assert generation.num_cached == LENGTH + 1 == generation.cache[0].offset


def test_a_forced_token_takes_the_place_of_the_next_one() -> None:
    prompt = picture_prompt()
    generation = begin(prompt)
    first = generation.next_token()
    generation.force(33)
    assert generation.next_token() == 33
    after = take(begin(continued(prompt, [first, 33])), 4)
    assert take(generation, 4) == after


def test_a_restored_prefix_gives_the_same_tokens_as_none() -> None:
    prompt = picture_prompt()
    expected = take(begin(prompt), 8)
    first = begin(prompt)
    take(first, 5)
    cut = prompt.spans[1].start - 1
    for layer in first.cache:
        layer.trim(layer.offset - cut)
    assert take(begin(prompt, layers=first.cache, num_cached=cut), 8) == expected


def test_vision_rows_of_a_chunk_carry_deepstack_of_the_same_tokens() -> None:
    prompt, outputs = picture_prompt(), see(picture_prompt())
    span = prompt.spans[2]
    rows = visual_rows(prompt.spans, outputs, start=span.start + 2, stop=LENGTH)
    assert rows is not None
    assert np.array(rows.row_indexes).tolist() == list(range(span.length - 2))
    first = span.media_offset + 2
    assert mx.array_equal(rows.output.features, outputs[1].features[first:])
    assert mx.array_equal(rows.output.deepstack[1], outputs[1].deepstack[1][first:])


def test_a_chunk_of_text_has_no_visual_rows() -> None:
    assert visual_rows(picture_prompt().spans, {}, start=0, stop=4) is None


def test_a_step_waits_for_the_device_once_after_queueing_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    generation = begin(picture_prompt())
    generation.next_token()
    order: list[str] = []
    queue, read = mx.async_eval, np.array

    def queue_noted(*arrays: mx.array) -> None:
        order.append("queue")
        queue(*arrays)  # type: ignore[no-untyped-call]  # MLX's stub

    def read_noted(array: mx.array) -> np.ndarray:
        order.append("read")
        return read(array)

    monkeypatch.setattr(mx, "eval", lambda *_: order.append("eval"))
    monkeypatch.setattr(mx, "async_eval", queue_noted)
    monkeypatch.setattr("edge.generate.step.np.array", read_noted)
    take(generation, 3)
    assert order == ["queue", "read"] * 3
