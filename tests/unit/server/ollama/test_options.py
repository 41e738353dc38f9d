from __future__ import annotations

from typing import Any

import pytest

from edge.run.sample import SamplingParams
from edge.server.arguments import ServerLimits
from edge.server.errors import ApiError
from edge.server.fields import Fields
from edge.server.ollama.options import Options, read_options


def read(limits: ServerLimits | None = None, **options: Any) -> Options:
    return read_options(Fields({"options": options}), limits=limits or ServerLimits())


def test_every_sampling_option_arrives() -> None:
    options = read(
        temperature=0.5,
        top_p=0.9,
        min_p=0.1,
        repeat_penalty=1.2,
        presence_penalty=0.3,
        frequency_penalty=0.4,
        top_k=7,
        seed=3,
    )
    assert options.sampling.params(SamplingParams()) == SamplingParams(
        temperature=0.5,
        top_p=0.9,
        min_p=0.1,
        repetition_penalty=1.2,
        presence_penalty=0.3,
        frequency_penalty=0.4,
        top_k=7,
        seed=3,
    )


def test_a_negative_seed_is_any_and_a_negative_top_k_is_all() -> None:
    assert read(seed=-1, top_k=-1).sampling.params(SamplingParams(top_k=9, seed=4)) == SamplingParams(seed=4)


@pytest.mark.parametrize(
    ("given", "limit", "found"), [(5, None, 5), (-1, None, None), (0, None, None), (-2, 9, 9), (-3, 9, 9), (None, 9, 9)]
)
def test_num_predict_limits_the_answer(given: int | None, limit: int | None, found: int | None) -> None:
    assert read(ServerLimits(answer_tokens=limit), num_predict=given).max_tokens == found


def test_num_predict_out_of_range_is_refused() -> None:
    with pytest.raises(ApiError, match=r"options\.num_predict: expected -1, or 1 to 9"):
        read(ServerLimits(answer_tokens=9), num_predict=10)


def test_stop_is_one_text_or_several() -> None:
    assert read(stop="a").stop == ("a",)
    assert read(stop=["a", "b"]).stop == ("a", "b")


def test_what_has_no_effect_is_named() -> None:
    assert read(num_ctx=8192, num_gpu=1, repeat_last_n=64, odd=1).ignored == (
        "options.num_ctx",
        "options.repeat_last_n",
        "options.odd",
    )


@pytest.mark.parametrize("options", [{"temperature": -1}, {"repeat_penalty": 0}, {"temperature": "x"}, {"top_p": 2}])
def test_a_wrong_value_is_refused_under_its_own_name(options: dict[str, Any]) -> None:
    (name,) = options
    with pytest.raises(ApiError, match=f"^options.{name}: expected") as caught:
        read(**options)
    assert caught.value.param == f"options.{name}"


def test_a_sampler_that_is_not_had_is_taken_only_when_it_is_off() -> None:
    assert read(mirostat=0, typical_p=1.0, tfs_z=1).ignored == ()
    with pytest.raises(ApiError, match=r"options\.mirostat: expected 0; this sampler"):
        read(mirostat=2)


def test_zero_keeps_the_likeliest_token() -> None:
    assert 0 < read(top_p=0.0).sampling.params(SamplingParams()).top_p < 1e-4
