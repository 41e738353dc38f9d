from __future__ import annotations

import mlx.core as mx
import numpy as np
import pytest

from edge.kv.make import make_memory
from edge.run.forward import decode_rows, visual_rows
from tests.unit.run.tiny import begin, continued, picture, picture_prompt, prompt_of, see, take, tiny_config, tiny_model

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
def test_chunks_inside_a_picture_give_the_logits_of_one_forward(chunk_tokens: int) -> None:
    prompt = picture_prompt()
    expected = whole_logits(prompt.token_ids, prompt.positions)
    found = chunked_logits(chunk_tokens)
    assert np.abs(found - expected).max() <= 2e-5 * np.abs(expected).max()


@pytest.mark.parametrize("chunk_tokens", [1, 7, 16, LENGTH])
def test_greedy_tokens_do_not_depend_on_the_chunk(chunk_tokens: int) -> None:
    assert take(picture_prompt(), 12, chunk_tokens=chunk_tokens) == take(picture_prompt(), 12)


def test_decoding_equals_a_full_forward_after_pictures() -> None:
    prompt = picture_prompt()
    tokens = take(prompt, 10)
    longer = continued(prompt, tokens)
    logits = whole_logits(longer.token_ids, longer.positions)
    assert logits[LENGTH - 1 : -1].argmax(axis=-1).tolist() == tokens


def test_decoding_goes_on_after_the_largest_position_not_after_the_length() -> None:
    prompt = picture_prompt()
    longer = continued(prompt, [7, 8])
    assert prompt.next_position < LENGTH
    assert longer.positions[:, -2:].tolist() == [[prompt.next_position, prompt.next_position + 1]] * 3


def test_a_step_of_unlike_rows_gives_each_row_its_own_logits() -> None:
    prompts = [picture_prompt(), prompt_of([1, 2, 3]), prompt_of([4], picture((1, 6, 4), seed=3), [5, 6, 7, 8])]
    alone = []
    for prompt in prompts:
        memory, logits = begin(prompt)
        token = mx.argmax(logits, keepdims=True)
        alone.append(np.array(decode_rows(tiny_model(), [token], [prompt.next_position], [memory])[0]))
    begun = [begin(prompt, chunk_tokens=5) for prompt in prompts]
    tokens = [mx.argmax(logits, keepdims=True) for _, logits in begun]
    together = np.array(
        decode_rows(tiny_model(), tokens, [p.next_position for p in prompts], [memory for memory, _ in begun])
    )
    for found, expected in zip(together, alone, strict=True):
        assert np.abs(found - expected).max() <= 1e-5 * np.abs(expected).max()


def test_rows_that_share_a_memory_would_be_noticed() -> None:
    memory, logits = begin(picture_prompt())
    token = mx.argmax(logits, keepdims=True)
    forks = [[layer.fork() for layer in memory] for _ in range(2)]
    wrong = decode_rows(tiny_model(), [token] * 2, [picture_prompt().next_position] * 2, [memory, memory])
    right = decode_rows(tiny_model(), [token] * 2, [picture_prompt().next_position] * 2, forks)
    assert np.abs(np.array(right[0] - right[1])).max() <= 1e-5 * np.abs(np.array(right)).max()
    assert np.abs(np.array(wrong - right)).max() > 1e-3 * np.abs(np.array(right)).max()


def test_a_restored_prefix_gives_the_same_tokens_as_none() -> None:
    prompt = picture_prompt()
    memory, _ = begin(prompt)
    cut = prompt.spans[1].start - 1
    for layer in memory:
        layer.trim(layer.num_tokens - cut)
    assert take(prompt, 8, memory=memory, num_cached=cut) == take(prompt, 8)


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
