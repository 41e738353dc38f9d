"""Read the tokenizer and the chat template from GGUF metadata, as plain parts.

In: metadata of a text file. Out: vocabulary, merges, added tokens and template text, from which `edge.prompt` builds
what a folder's tokenizer.json gives.
"""

from __future__ import annotations

from edge.checkpoint.files.gguf import GgufFile
from edge.checkpoint.gguf_config import Metadata
from edge.errors import ConfigError
from edge.records import dataclass

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED = 1, 2, 3, 4, 5
MODEL, SPLITTERS = "gpt2", ("qwen2",)
# llama.cpp's converter calls every <|...|> a control token; these are not special in Qwen's own tokenizer.
NOT_SPECIAL = frozenset(
    {"<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>", "<|fim_pad|>", "<|repo_name|>", "<|file_sep|>"}
)


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Parts of a byte-level BPE tokenizer.

    Attributes:
        tokens: Token in the byte alphabet -> number, without added ones.
        merges: Pairs in order of rank.
        added: Added token -> (number, is special).
        template: The chat template's text.
    """

    tokens: dict[str, int]
    merges: list[tuple[str, str]]
    added: dict[str, tuple[int, bool]]
    template: str


def read_vocabulary(file: GgufFile) -> Vocabulary:
    """Read the tokenizer's parts and the template.

    Raises:
        ConfigError: Something is missing or is not Qwen's tokenizer.
    """
    meta = Metadata(file)
    model, splitter = meta.text("tokenizer.ggml.model"), meta.text("tokenizer.ggml.pre", SPLITTERS[0])
    if model != MODEL or splitter not in SPLITTERS:
        raise ConfigError(
            f"{file.path}: expected a {MODEL} tokenizer with {SPLITTERS[0]} splitting, found {model} with {splitter}. "
            "Choose a Qwen3-VL file."
        )
    tokens, kinds = meta.texts("tokenizer.ggml.tokens"), meta.integers("tokenizer.ggml.token_type")
    if len(tokens) != len(kinds):
        raise ConfigError(f"{file.path}: found {len(tokens)} tokens and {len(kinds)} token types. Download it again.")
    key = "tokenizer.ggml.merges"
    merges = [_pair(merge, file) for merge in (meta.texts(key) if key in meta.values else [])]
    normal: dict[str, int] = {}
    added: dict[str, tuple[int, bool]] = {}
    for number, (token, kind) in enumerate(zip(tokens, kinds, strict=True)):
        if kind == NORMAL:
            normal[token] = number
        elif kind in (CONTROL, USER_DEFINED):
            added[token] = (number, kind == CONTROL and token not in NOT_SPECIAL)
    return Vocabulary(normal, merges, added, meta.text("tokenizer.chat_template"))


def _pair(merge: str, file: GgufFile) -> tuple[str, str]:
    left, space, right = merge.partition(" ")
    if not space or not left or not right:
        raise ConfigError(f"{file.path}: expected two tokens in each merge, found {merge!r}. Download it again.")
    return left, right
