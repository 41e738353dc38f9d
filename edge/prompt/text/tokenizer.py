"""Text to token ids and back, over the `tokenizers` library.

In: a folder's tokenizer files, or the same from GGUF metadata. `added_tokens` says which tokens a folder adds.
Special tokens are found by us, not by the library, so that text can also be encoded as plain text: what a user
writes never becomes a control token.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from edge.config_json import read_json_object
from edge.errors import ConfigError
from edge.lfs import refuse_pointer
from edge.prompt.text.added_tokens import AddedTokens, read_added_tokens
from edge.units import one_line

if TYPE_CHECKING:
    from tokenizers import Tokenizer as Backend

_LOG = logging.getLogger(__name__)
_SHOWN = 200  # characters of a library's own message

# How Qwen2 and Qwen3 split text before merging; digits stand alone.
SPLIT_PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


class Tokenizer:
    """Byte-level BPE with Qwen's added tokens; safe on any thread."""

    def __init__(self, backend: Backend, *, unused: Mapping[str, int] | None = None) -> None:
        """Wrap a loaded tokenizer.

        Args:
            backend: A `tokenizers.Tokenizer`; its treatment of special tokens is changed to plain text.
            unused: Tokens that a file names and that do not count: they tell a tokenizer that outgrew its model.

        Raises:
            ConfigError: A special token strips neighbouring spaces, which Qwen's tokens do not.
        """
        backend.encode_special_tokens = True
        backend.no_truncation()  # a file may carry a length, at which the library would cut without a word
        backend.no_padding()
        self._backend = backend
        added = backend.get_added_tokens_decoder()
        self.special_ids: dict[str, int] = {}
        for token_id, token in added.items():
            if token.lstrip or token.rstrip or token.single_word:
                raise ConfigError(f"The added token {token.content!r} strips its neighbours, which is not supported.")
            if token.special:
                self.special_ids[token.content] = token_id
        self._unused = dict(unused or {})
        self._special_id_set = frozenset(self.special_ids.values())
        self._added_texts = {token_id: token.content for token_id, token in added.items()}
        self.added_tokens: dict[str, int] = {token.content: token_id for token_id, token in added.items()}
        names = sorted(map(re.escape, self.special_ids), key=len, reverse=True)
        self._special_pattern = re.compile(f"({'|'.join(names)})") if names else None
        self._bytes_of_characters = _byte_alphabet()

    @property
    def highest_token(self) -> tuple[int, str]:
        """The highest token id that the files name, and the token's text."""
        vocabulary = {**self._unused, **self._backend.get_vocab(True)}
        return max(((number, token) for token, number in vocabulary.items()), default=(-1, ""))

    @cached_property
    def longest_token(self) -> int:
        """Characters of the longest token; those of the byte alphabet stand for bytes."""
        return max(map(len, self._backend.get_vocab(True)), default=1)

    @classmethod
    def from_vocabulary(
        cls, vocabulary: Mapping[str, int], merges: Sequence[tuple[str, str]], added: Mapping[str, tuple[int, bool]]
    ) -> Tokenizer:
        """Build Qwen's tokenizer from its parts.

        Args:
            vocabulary: Token in the byte alphabet -> id, without added tokens.
            merges: Pairs in order of rank.
            added: Added token -> (id, is special); ids must follow the vocabulary without holes.

        Raises:
            ConfigError: The parts do not fit together.
        """
        from tokenizers import AddedToken, models
        from tokenizers import Tokenizer as Backend

        for left, right in merges:
            # The library panics on this, past all handlers.
            if left not in vocabulary or right not in vocabulary or left + right not in vocabulary:
                raise ConfigError(f"Vocabulary and merges do not fit together: {left!r} + {right!r} is no token.")
        backend = Backend(models.BPE(dict(vocabulary), list(merges), fuse_unk=False))
        _set_own_rules(backend)
        for content, (token_id, is_special) in sorted(added.items(), key=lambda item: item[1]):
            token = AddedToken(content, special=is_special, normalized=False)
            backend.add_special_tokens([token]) if is_special else backend.add_tokens([token])
            if backend.token_to_id(content) != token_id:
                raise ConfigError(
                    f"The added token {content!r} should have id {token_id}, but would get "
                    f"{backend.token_to_id(content)}. The ids of added tokens must follow the vocabulary."
                )
        return cls(backend)

    @classmethod
    def from_folder(cls, folder: Path) -> Tokenizer:
        """Read a model folder's tokenizer.

        Raises:
            ConfigError: The files are missing or cannot be read.
        """
        path = folder / "tokenizer.json"
        if path.exists():
            backend, stored = _settle(_read_text(path), folder, where=str(path))
            return cls(backend, unused=stored)
        needed = [folder / name for name in ("vocab.json", "merges.txt")]
        missing = [item.name for item in needed if not item.is_file()]
        if missing:
            raise ConfigError(
                f"{folder}: expected tokenizer.json, or vocab.json, merges.txt and tokenizer_config.json; "
                f"missing: tokenizer.json, {', '.join(missing)}. Download the folder's tokenizer files."
            )
        lines = _read_text(needed[1]).split("\n")
        merges = [tuple(line.split(" ", 1)) for line in lines if line and not line.startswith("#version")]
        if any(len(pair) != 2 for pair in merges):
            raise ConfigError(f"{needed[1]}: expected two tokens in each line. Download it again.")
        vocabulary = read_json_object(needed[0])
        if not all(type(number) is int for number in vocabulary.values()):
            raise ConfigError(f"{needed[0]}: expected an id for every token. Download it again.")
        added = read_added_tokens(folder, {}).numbered(vocabulary)
        return cls.from_vocabulary(vocabulary, [(pair[0], pair[1]) for pair in merges], added)

    @property
    def vocab_size(self) -> int:
        """Tokens with a text, added ones included; the model may have more rows."""
        return int(self._backend.get_vocab_size(with_added_tokens=True))

    def token_id(self, content: str) -> int | None:
        """Return a token's id, None if there is no such token."""
        found = self._backend.token_to_id(content)
        return None if found is None else int(found)

    def encode(self, text: str) -> list[int]:
        """Encode text in which special tokens count as such, as transformers does."""
        ids: list[int] = []
        for piece in self.split_special(text):
            token_id = self.special_ids.get(piece)
            if token_id is None:
                ids += self.encode_plain(piece)
            else:
                ids.append(token_id)
        return ids

    def encode_plain(self, text: str) -> list[int]:
        """Encode text in which special tokens are mere characters; `<think>` and the like still count as tokens."""
        return list(self._backend.encode(text, add_special_tokens=False).ids) if text else []

    def split_special(self, text: str) -> list[str]:
        """Cut text at special tokens, which become pieces of their own; empty pieces are left out."""
        if self._special_pattern is None:
            return [text] if text else []
        return [piece for piece in self._special_pattern.split(text) if piece]

    def decode(self, token_ids: Iterable[int], *, skip_special_tokens: bool = False) -> str:
        """Turn ids into text; broken characters become U+FFFD.

        Args:
            token_ids: Ids; those without a text give nothing.
            skip_special_tokens: Leave out control tokens (`<think>` and `<tool_call>` are not among them).
        """
        return str(self._backend.decode(list(token_ids), skip_special_tokens=skip_special_tokens))

    def token_bytes(self, token_id: int) -> bytes:
        """Return the bytes a token stands for, for decoding a stream; none for ids without a text."""
        added = self._added_texts.get(token_id)
        if added is not None:
            return added.encode()
        token = self._backend.id_to_token(token_id)
        if token is None:
            return b""
        found = [self._bytes_of_characters.get(character) for character in token]
        # As the library decodes it: a token outside the alphabet stands for its own text.
        return token.encode() if None in found else bytes(byte for byte in found if byte is not None)

    def is_special(self, token_id: int) -> bool:
        """Tell whether a token is a control token, which is not part of an answer's text."""
        return token_id in self._special_id_set


def _read_backend(text: str, where: str) -> Backend:
    from tokenizers import Tokenizer as Backend

    try:
        return Backend.from_str(text)
    except BaseException as error:  # tokenizers raises bare Exception, and panics past it on broken merges
        if isinstance(error, KeyboardInterrupt | SystemExit):
            raise
        reason = one_line(str(error), max_characters=_SHOWN)
        raise ConfigError(f"{where}: not a readable tokenizer ({reason}). Download it again.") from None


def _set_own_rules(backend: Backend) -> None:
    """Split text as Qwen does."""
    from tokenizers import Regex, decoders, normalizers, pre_tokenizers

    split = pre_tokenizers.Split(Regex(SPLIT_PATTERN), "isolated")
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    backend.normalizer = normalizers.NFC()
    backend.pre_tokenizer = pre_tokenizers.Sequence([split, byte_level])
    backend.decoder = decoders.ByteLevel()


def _settle(text: str, folder: Path, *, where: str) -> tuple[Backend, dict[str, int]]:
    """Read a tokenizer.json, with the added tokens and the splitting that count for its folder.

    Returns:
        The tokenizer, and the added tokens that tokenizer.json names, whether they count or not.
    """
    backend = _read_backend(text, where)
    stored = {
        token.content: (number, bool(token.special)) for number, token in backend.get_added_tokens_decoder().items()
    }
    added = read_added_tokens(folder, stored)
    if added.keeps_ends and backend.num_special_tokens_to_add(is_pair=False):
        raise ConfigError(f"{where}: its post_processor puts tokens around every text, which is not supported.")
    if added.table != stored or added.further:
        _LOG.warning("%s: its added_tokens are not those that count (the order of transformers)", where)
        backend = _with_added(text, added, where=where)
    if added.is_own and not _splits_alike(backend):
        _LOG.warning("%s: its splitting of text does not count, tokenizer_class brings its own", where)
        _set_own_rules(backend)
    return backend, {token: number for token, (number, _) in stored.items()}


def _with_added(text: str, added: AddedTokens, *, where: str) -> Backend:
    raw = json.loads(text)
    vocabulary = raw["model"].get("vocab")
    if not isinstance(vocabulary, dict) or not all(type(number) is int for number in vocabulary.values()):
        raise ConfigError(f"{where}: expected an id for every token of model.vocab. Download it again.")
    numbered = added.numbered(vocabulary)
    plain = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    raw["added_tokens"] = [
        {"id": number, "content": token, **plain, "special": special} for token, (number, special) in numbered.items()
    ]
    backend = _read_backend(json.dumps(raw), where)
    for token, (number, _) in numbered.items():
        if backend.token_to_id(token) != number:
            raise ConfigError(
                f"{where}: the added token {token!r} should have id {number}, but would get "
                f"{backend.token_to_id(token)}. The ids of added tokens must follow the vocabulary."
            )
    return backend


def _splits_alike(backend: Backend) -> bool:
    from tokenizers import Tokenizer as Backend
    from tokenizers import models

    own = Backend(models.BPE())
    _set_own_rules(own)
    return _rules_of(backend) == _rules_of(own)


def _rules_of(backend: Backend) -> str:
    """Return how a tokenizer treats text, without what only moves the offsets it reports."""
    parts = (backend.normalizer, backend.pre_tokenizer)
    states = [None if part is None else json.loads(part.__getstate__()) for part in parts]
    return re.sub(r'"trim_offsets": (true|false)', "", json.dumps(states, sort_keys=True))


def _byte_alphabet() -> dict[str, int]:
    """Map the characters byte-level BPE writes for bytes back to the bytes (GPT-2's table)."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in set(printable)]
    return {chr(byte): byte for byte in printable} | {chr(256 + i): byte for i, byte in enumerate(others)}


def _read_text(path: Path) -> str:
    try:
        if not path.is_file():
            raise ConfigError(f"{path}: expected a file, found a folder, pipe or device. Download it again.")
        text = path.read_text(encoding="utf-8")
        refuse_pointer(text[:64].encode(), path)
        return text
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read ({error}). Download it again.") from None
