"""Say after each token which tokens may come next, so that an answer obeys a schema, a grammar or a tool choice.

In: a request's settings, once; then each token of the answer. Out: a mask over the vocabulary. All of it runs on the
host in numpy: a row asks for its mask while the next forward pass runs on the device. Only the answer is ruled: the
row asks for no mask before its thought has ended.

Parsing and masks are llguidance's; a grammar walked in Python over 151,669 tokens would take longer than the model.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from edge.errors import RequestError
from edge.prompt.text.tokenizer import Tokenizer
from edge.run.grammar import build_grammar, parser_limits, plain_reason

if TYPE_CHECKING:
    from llguidance import LLMatcher, LLTokenizer

# Schemas and tools are JSON.
Json = Any

PROBE_TOKENS = 4  # an object with too many optional properties fails behind its opening brace
MAX_LEADING_NEWLINES = 2  # models write "</think>\n\n" before the answer
# Control tokens that belong to prompts only: no grammar may ask for them.
_PROMPT_TOKENS = frozenset(
    ("<|im_start|>", "<|vision_start|>", "<|vision_end|>", "<|vision_pad|>", "<|image_pad|>", "<|video_pad|>")
)


class ConstraintFactory:
    """Make constraints for one checkpoint's vocabulary; safe on any thread, and never to be called on the model's.

    The first constraint prepares the vocabulary, which takes about a second for 151,669 tokens and holds Python's
    lock for most of it; later ones take milliseconds.
    """

    def __init__(self, tokenizer: Tokenizer, *, vocab_size: int, end_ids: Collection[int]) -> None:
        """Keep what constraints need; nothing is prepared yet.

        Args:
            tokenizer: The checkpoint's tokenizer.
            vocab_size: V, the width of the model's logits; ids past the tokenizer's are never allowed.
            end_ids: Tokens that end a turn, at least one.
        """
        assert end_ids, "a turn needs a token that ends it"
        self._tokenizer = tokenizer
        self._vocab_size = vocab_size
        self._end_ids = tuple(sorted(end_ids))
        self._lock = threading.Lock()
        self._vocabulary: _Vocabulary | None = None

    def make(
        self,
        *,
        schema: Json = None,
        grammar: Mapping[str, str] | None = None,
        tools: Sequence[Mapping[str, Json]] | None = None,
        tool_choice: str = "auto",
        parallel_tool_calls: bool = True,
        follows_thought: bool = False,
    ) -> Constraint | None:
        r"""Compile what a request asks of its answer.

        Args:
            schema: A JSON Schema, or "json" for any JSON object; None asks nothing.
            grammar: {"regex": "..."} for the whole answer, or {"lark": "..."} in llguidance's Lark; None asks nothing.
            tools: Tool declarations, OpenAI's shape or the bare functions.
            tool_choice: "auto" lets the model choose between calls and text (which obeys the schema, if one is
                given; calls of tools declared `strict` obey theirs), "none" forbids calls, "required" wants calls
                and nothing else, a tool's name wants calls of that one.
            parallel_tool_calls: Whether several calls may come.
            follows_thought: Whether a thought comes first: then up to two newlines may precede the answer.

        Returns:
            A constraint for one answer, or None where every text will do.

        Raises:
            RequestError: Broken, too large or too complex, or not to be enforced in full; `field` says which setting.
        """
        # Bad settings are told before the vocabulary is prepared.
        text = build_grammar(
            schema=schema,
            grammar=grammar,
            tools=tools,
            tool_choice=tool_choice,
            parallel_tool_calls=parallel_tool_calls,
            token_names=self._tokenizer.added_tokens.keys(),
        )
        if text is None:
            return None
        field = _field_of(schema, grammar)
        vocabulary = self._prepared()
        constraint = Constraint(vocabulary, text, field=field, follows_thought=follows_thought)
        constraint.check()
        return constraint

    def prepare(self) -> None:
        """Prepare the vocabulary now, so that the first constraint comes fast."""
        self._prepared()

    def _prepared(self) -> _Vocabulary:
        with self._lock:
            if self._vocabulary is None:
                self._vocabulary = _Vocabulary(self._tokenizer, vocab_size=self._vocab_size, end_ids=self._end_ids)
            return self._vocabulary


class Constraint:
    """What may come next in one answer; made on one thread, then used by another, one at a time.

    A row calls `allowed` before it samples and `accept` with what it took, from the first token after the thought
    (the token `</think>` itself is the thought's) to the end token. When a token is read, its forward pass can be
    queued first; `accept`, `is_finished` and `allowed` then run beside it, a fraction of a millisecond in all.
    """

    def __init__(self, vocabulary: _Vocabulary, text: str, *, field: str, follows_thought: bool) -> None:
        """Compile a grammar; `ConstraintFactory.make` is the way here.

        Args:
            vocabulary: The prepared vocabulary.
            text: The grammar in llguidance's JSON form.
            field: The setting that errors name.
            follows_thought: Whether newlines may precede the answer.

        Raises:
            RequestError: The grammar is broken or too complex.
        """
        from llguidance import LLMatcher

        self._vocabulary = vocabulary
        self._field = field
        self._matcher: LLMatcher = LLMatcher(vocabulary.backend, text, log_level=0, limits=parser_limits())
        self._newlines_left = MAX_LEADING_NEWLINES if follows_thought else 0
        self._mask: np.ndarray | None = None
        self._has_ended = False
        self._raise_error("Simplify or correct it.")

    @property
    def is_complete(self) -> bool:
        """Whether the answer so far is whole: an end token is allowed now."""
        return self._has_ended or self._matcher.is_accepting()

    @property
    def is_finished(self) -> bool:
        """Whether nothing but an end token may come: the row can end without sampling it."""
        return self._has_ended or (self._matcher.is_stopped() and not self._matcher.is_error())

    @property
    def is_dictating(self) -> bool:
        """Whether the rules leave only one text to go on with."""
        return not self.is_finished and bool(self._matcher.compute_ff_bytes())

    def allowed(self) -> np.ndarray:
        """Compute which tokens may come next.

        Returns:
            (V,) bool, at least one True; the same array until the next `accept`, not to be written to.

        Raises:
            RequestError: The grammar became too complex at this point, or leads nowhere; the answer cannot go on.
        """
        if self._mask is None:
            self._mask = self._compute_mask()
        return self._mask

    def count_allowed(self, token_ids: Sequence[int]) -> int:
        """Count how many tokens from the first on may come one after the other; nothing is accepted.

        The count may be too low where newlines may still precede the answer, and is never too high.
        """
        if self._has_ended or not token_ids or not self.allowed()[token_ids[0]] or self._newlines_left:
            return 0
        usable = self._vocabulary.usable
        stop = next((i for i, token_id in enumerate(token_ids) if not usable[token_id]), len(token_ids))
        return int(self._matcher.validate_tokens([int(token_id) for token_id in token_ids[:stop]]))

    def accept(self, token_id: int) -> None:
        """Go on past a token that was taken.

        Args:
            token_id: One that `allowed` permits.

        Raises:
            RequestError: The grammar became too complex.
        """
        assert not self._has_ended, "the answer has ended"
        assert self.allowed()[token_id], f"token {token_id} is not allowed here"
        self._mask = None
        num_newlines = self._vocabulary.newlines.get(token_id, MAX_LEADING_NEWLINES + 1)
        if num_newlines <= self._newlines_left:
            self._newlines_left -= num_newlines
            return
        self._newlines_left = 0
        if token_id in self._vocabulary.end_ids:
            self._has_ended = True
            return
        self._matcher.consume_token(token_id)
        self._raise_error("The answer cannot go on; simplify it.")

    def check(self) -> None:
        """Try the first steps, and refuse a grammar that is too complex there or allows nothing.

        Raises:
            RequestError: It is.
        """
        warnings = self._matcher.get_grammar_warnings()
        if warnings:
            raise RequestError(
                f"{self._field}: expected rules that can be enforced in full, found: {plain_reason(warnings[0])}. "
                "Remove it.",
                field=self._field,
            )
        start, newlines = self._matcher.deep_copy(), self._newlines_left
        self._newlines_left = 0
        for _ in range(PROBE_TOKENS):
            if self.is_finished:
                break
            self.accept(int(self.allowed().argmax()))
        self._matcher, self._newlines_left, self._mask, self._has_ended = start, newlines, None, False

    def _compute_mask(self) -> np.ndarray:
        mask = self._vocabulary.end_mask if self.is_finished else self._grammar_mask()
        for token_id, num_newlines in self._vocabulary.newlines.items():
            if num_newlines <= self._newlines_left:
                mask[token_id] = True
        mask.flags.writeable = False
        return mask

    def _grammar_mask(self) -> np.ndarray:
        from llguidance.numpy import allocate_token_bitmask, fill_next_token_bitmask

        vocabulary = self._vocabulary
        bits = allocate_token_bitmask(1, vocabulary.backend.vocab_size)
        fill_next_token_bitmask(self._matcher, bits)
        self._raise_error("Simplify it.")
        mask = np.zeros(vocabulary.usable.shape, dtype=np.bool_)
        found = np.unpackbits(bits.view(np.uint8), bitorder="little")[: vocabulary.backend.vocab_size]
        mask[: found.size] = found
        mask &= vocabulary.usable
        mask[list(vocabulary.end_ids)] = self._matcher.is_accepting()
        if not mask.any():
            raise RequestError(
                f"{self._field}: expected rules that some text obeys, found that no token may come here. Correct it.",
                field=self._field,
            )
        return mask

    def _raise_error(self, advice: str) -> None:
        if self._matcher.is_error():
            reason = plain_reason(self._matcher.get_error())
            raise RequestError(
                f"{self._field}: expected rules that can be enforced, found: {reason}. {advice}", field=self._field
            )


class _Vocabulary:
    """A tokenizer as llguidance wants it; immutable, shared by all constraints.

    Attributes:
        backend: llguidance's view of it.
        usable: (V,) bool, tokens that an answer may hold at all.
        end_ids: Tokens that end a turn.
        newlines: Tokens of newlines only, up to two -> how many.
    """

    def __init__(self, tokenizer: Tokenizer, *, vocab_size: int, end_ids: tuple[int, ...]) -> None:
        from llguidance import LLTokenizer, TokenizerWrapper

        source = _Source(tokenizer, end_id=end_ids[0], vocab_size=vocab_size)
        # Cuts for JSON text make masks inside long strings ten times as fast, for half a second here.
        self.backend: LLTokenizer = LLTokenizer(
            TokenizerWrapper(source), n_vocab=len(source.tokens), eos_token=list(end_ids), slices=_slices()
        )
        self.end_ids = frozenset(end_ids)
        self.usable = np.zeros((vocab_size,), dtype=np.bool_)
        self.usable[: len(source.tokens)] = [bool(token) for token in source.tokens]
        self.usable[[i for name, i in tokenizer.added_tokens.items() if name in _PROMPT_TOKENS]] = False
        self.newlines = {
            i: len(token)
            for i, token in enumerate(source.tokens)
            if 0 < len(token) <= MAX_LEADING_NEWLINES and not token.strip(b"\n")
        }

    @property
    def end_mask(self) -> np.ndarray:
        """A fresh mask that allows the end tokens only."""
        mask = np.zeros(self.usable.shape, dtype=np.bool_)
        mask[list(self.end_ids)] = True
        return mask


class _Source:
    """The names under which llguidance asks a tokenizer for its tokens."""

    bos_token_id = None

    def __init__(self, tokenizer: Tokenizer, *, end_id: int, vocab_size: int) -> None:
        self._tokenizer = tokenizer
        self.eos_token_id = end_id
        added = sorted(i for i in tokenizer.added_tokens.values() if i < vocab_size)
        num_tokens = min(vocab_size, max(tokenizer.vocab_size, added[-1] + 1 if added else 0))
        self.tokens = [tokenizer.token_bytes(i) for i in range(num_tokens)]
        # All added tokens, plain ones like <tool_call> too: they come where a grammar names them and nowhere else.
        self.special_token_ids = added

    def __call__(self, text: str | bytes) -> list[int]:
        return self._tokenizer.encode_plain(text if isinstance(text, str) else text.decode())


def _slices() -> list[str]:
    from llguidance import LLTokenizer

    return LLTokenizer.json_slices()


def _field_of(schema: Json, grammar: Mapping[str, str] | None) -> str:
    """Name the setting that a failure of the whole grammar speaks of; each schema was checked by itself before."""
    return "grammar" if grammar is not None else "schema" if schema is not None else "tools"
