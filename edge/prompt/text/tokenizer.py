"""Text to token ids and back, over the `tokenizers` library.

In: a folder's tokenizer.json (or vocab.json, merges.txt and tokenizer_config.json), or the same from GGUF metadata.
Special tokens are found by us, not by the library, so that text can also be encoded as plain text: what a user
writes never becomes a control token.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge.config_json import read_json_object
from edge.errors import ConfigError
from edge.lfs import refuse_pointer

if TYPE_CHECKING:
    from tokenizers import Tokenizer as Backend

# How Qwen2 and Qwen3 split text before merging; digits stand alone.
SPLIT_PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


class Tokenizer:
    """Byte-level BPE with Qwen's added tokens; safe on any thread."""

    def __init__(self, backend: Backend) -> None:
        """Wrap a loaded tokenizer.

        Args:
            backend: A `tokenizers.Tokenizer`; its treatment of special tokens is changed to plain text.

        Raises:
            ConfigError: A special token strips neighbouring spaces, which Qwen's tokens do not.
        """
        backend.encode_special_tokens = True
        self._backend = backend
        added = backend.get_added_tokens_decoder()
        self.special_ids: dict[str, int] = {}
        for token_id, token in added.items():
            if token.lstrip or token.rstrip or token.single_word:
                raise ConfigError(f"The added token {token.content!r} strips its neighbours, which is not supported.")
            if token.special:
                self.special_ids[token.content] = token_id
        self._special_id_set = frozenset(self.special_ids.values())
        self._added_texts = {token_id: token.content for token_id, token in added.items()}
        self.added_tokens: dict[str, int] = {token.content: token_id for token_id, token in added.items()}
        names = sorted(map(re.escape, self.special_ids), key=len, reverse=True)
        self._special_pattern = re.compile(f"({'|'.join(names)})") if names else None
        self._bytes_of_characters = _byte_alphabet()

    @property
    def highest_token(self) -> tuple[int, str]:
        """The highest token id, and the token's text."""
        return max(((number, token) for token, number in self._backend.get_vocab(True).items()), default=(-1, ""))

    @classmethod
    def from_json(cls, text: str, *, where: str = "tokenizer.json") -> Tokenizer:
        """Read a tokenizer.json's text.

        Raises:
            ConfigError: It cannot be read.
        """
        from tokenizers import Tokenizer as Backend

        try:
            backend = Backend.from_str(text)
        except BaseException as error:  # tokenizers raises bare Exception, and panics past it on broken merges
            if isinstance(error, KeyboardInterrupt | SystemExit):
                raise
            raise ConfigError(f"{where}: not a readable tokenizer ({_one_line(error)}). Download it again.") from None
        return cls(backend)

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
        from tokenizers import AddedToken, Regex, decoders, models, normalizers, pre_tokenizers
        from tokenizers import Tokenizer as Backend

        for left, right in merges:
            # The library panics on this, past all handlers.
            if left not in vocabulary or right not in vocabulary or left + right not in vocabulary:
                raise ConfigError(f"Vocabulary and merges do not fit together: {left!r} + {right!r} is no token.")
        backend = Backend(models.BPE(dict(vocabulary), list(merges), fuse_unk=False))
        backend.normalizer = normalizers.NFC()
        split = pre_tokenizers.Split(Regex(SPLIT_PATTERN), "isolated")
        byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
        backend.pre_tokenizer = pre_tokenizers.Sequence([split, byte_level])
        backend.decoder = decoders.ByteLevel()
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
        if path.is_file():
            return cls.from_json(_read_text(path), where=str(path))
        needed = [folder / name for name in ("vocab.json", "merges.txt", "tokenizer_config.json")]
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
        added = _added_tokens(read_json_object(needed[2]), where=str(needed[2]))
        return cls.from_vocabulary(read_json_object(needed[0]), [(pair[0], pair[1]) for pair in merges], added)

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
        table = self._bytes_of_characters
        return b"" if token is None else bytes(table[character] for character in token)

    def is_special(self, token_id: int) -> bool:
        """Tell whether a token is a control token, which is not part of an answer's text."""
        return token_id in self._special_id_set


def _added_tokens(raw: Mapping[str, Any], *, where: str) -> dict[str, tuple[int, bool]]:  # Any: JSON
    entries = raw.get("added_tokens_decoder")
    if not isinstance(entries, Mapping):
        raise ConfigError(f"{where}: expected added_tokens_decoder, found none. Download it again.")
    try:
        return {entry["content"]: (int(token_id), bool(entry["special"])) for token_id, entry in entries.items()}
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigError(f"{where}: added_tokens_decoder cannot be read ({_one_line(error)}).") from None


def _byte_alphabet() -> dict[str, int]:
    """Map the characters byte-level BPE writes for bytes back to the bytes (GPT-2's table)."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in set(printable)]
    return {chr(byte): byte for byte in printable} | {chr(256 + i): byte for i, byte in enumerate(others)}


def _read_text(path: Path) -> str:
    try:
        text = path.read_text(encoding="utf-8")
        refuse_pointer(text[:64].encode(), path)
        return text
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read ({error}). Download it again.") from None


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200]
