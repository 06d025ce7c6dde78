"""Look at a model's folder before anything is paid for: what is wrong with it, in which file.

Only headers and settings are read, and the tokenizer is tried on a few texts; no weight is loaded
and torch is not imported. What passes here can still fail to load, since each architecture has its
own ways; what fails here would have failed after hours.
"""

import contextlib
import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from samplemix_dagster.errors import ModelError
from samplemix_dagster.storage.models.files import FOLDS, first_fold, require_safetensors
from samplemix_dagster.storage.models.tokenizer import as_model_errors, load_tokenizer

CONTEXT_KEYS = ("max_position_embeddings", "n_positions", "n_ctx", "max_seq_len", "seq_length")
SHORTEST_CONTEXT = 16
_LAYER_KEYS = ("num_hidden_layers", "n_layer", "num_layers", "n_layers")
_WIDTH_KEYS = ("hidden_size", "n_embd", "d_model", "dim")
_MOST_HEADER_BYTES = 100_000_000
"""What the safetensors format allows."""
_MOST_SHARED = 64
"""Times that layers may share weights, or an embedding may be factorised."""
_TRIED = (
    "A plain sentence, with 12 numbers and a name.",
    "a" * 64 + "!",
    " " * 64 + "x",
    "0" * 64 + "-",
    "\n\t" * 16 + "}",
    "Straße, naïve, 東京, Привет, \U0001f600",
)
"""Ordinary text, and runs on which a careless pattern goes back and forth without end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """What the headers of a folder's weight files say."""

    num_tensors: int
    num_parameters: int


def check_reference(folder: Path) -> None:
    """Look at the folder of a causal language model, or of a cross-fitted pair.

    Raises:
        ModelError: It cannot work; the message names the file and the cure.
    """
    folders = [folder / name for name in FOLDS] if (folder / FOLDS[0]).is_dir() else [folder]
    for part in folders:
        weights = check_weights(part)
        settings = _settings(part / "config.json", is_required=True)
        _check_sizes(part / "config.json", settings, weights)
        context = context_of(settings)
        if context is not None and context < SHORTEST_CONTEXT:
            raise ModelError(
                f"{part / 'config.json'}: the model reads {context} tokens at once, and scoring "
                f"needs {SHORTEST_CONTEXT} at least. Correct the file, or name another model."
            )
        check_tokenizer(part, vocabulary=_text_settings(settings).get("vocab_size"))


def check_encoder(folder: Path) -> None:
    """Look at the folder of a sentence encoder.

    Raises:
        ModelError: It cannot work; the message names the file and the cure.
    """
    modules = folder / "modules.json"
    entries = read_json(modules, [])
    if not isinstance(entries, list) or not all(
        isinstance(entry, dict) and isinstance(entry.get("type"), str) for entry in entries
    ):
        raise ModelError(f"{modules} is no list of modules with their types; restore the file.")
    # Some releases run a module's code from a local folder without asking.
    kinds = [entry["type"] for entry in entries]
    foreign = [kind for kind in kinds if not kind.startswith("sentence_transformers.")]
    if foreign:
        raise ModelError(f"{modules} asks to run its own code, {foreign[0]}; it is not run")
    check_weights(folder)
    inner = folder / str(entries[0].get("path", "")) if entries else folder
    config = inner / "config.json" if (inner / "config.json").is_file() else folder / "config.json"
    settings = _settings(config, is_required=False)
    if settings:
        _check_sizes(config, settings, check_weights(inner if inner.is_dir() else folder))
    where = inner if (inner / "tokenizer.json").is_file() else folder
    if (where / "tokenizer.json").is_file():
        check_tokenizer(where, vocabulary=settings.get("vocab_size"))


def encoder_limit(folder: Path) -> int | None:
    """Return the most tokens that an encoder reads, as its settings say; None if they do not."""
    found: list[int] = []
    for name, keys in (
        ("sentence_bert_config.json", ("max_seq_length",)),
        ("tokenizer_config.json", ("model_max_length",)),
        ("config.json", CONTEXT_KEYS),
    ):
        with contextlib.suppress(ModelError):
            settings = _settings(folder / name, is_required=False)
            found += [
                value
                for key in keys
                if isinstance(value := settings.get(key), int) and 0 < value < 1 << 30
            ]
    return min(found) if found else None


def check_tokenizer(path: Path, vocabulary: object = None) -> None:
    """Look at a tokenizer, and try it on a few texts.

    Args:
        path: Its file, or a folder that holds one.
        vocabulary: Rows of the model's embedding, where there is one.

    Raises:
        ModelError: It cannot be read, fails, has no words, or more than the model knows.
    """
    folder = first_fold(path)
    if folder.is_dir():
        start_token_names(folder)
    tokenizer = load_tokenizer(path)
    with as_model_errors(str(path)):
        for text in _TRIED:
            ids = tokenizer.encode(text, add_special_tokens=False).ids
            if text is _TRIED[0] and not ids:
                raise ModelError(
                    f"{path}: the tokenizer makes no token of a plain sentence: its vocabulary is "
                    "empty. Save the tokenizer again with its vocabulary."
                )
        highest = _highest_id(tokenizer)
    if isinstance(vocabulary, int) and highest >= vocabulary:
        raise ModelError(
            f"{path}: the tokenizer has token {highest}, and the model knows {vocabulary}: they do "
            "not belong together. Save model and tokenizer from one place."
        )


def _highest_id(tokenizer: Any) -> int:
    """Return the highest id that a text can give; words of special tokens are text here."""
    added = tokenizer.get_added_tokens_decoder()
    special = {index for index, token in added.items() if token.special}
    ids = set(tokenizer.get_vocab(with_added_tokens=True).values()) - special
    return max(ids, default=-1)


def start_token_names(folder: Path) -> dict[str, str | None]:
    """Return the words of a tokenizer's BOS and EOS, where its settings name them.

    Raises:
        ModelError: The settings are no settings.
    """
    file = folder / "tokenizer_config.json"
    settings = _settings(file, is_required=False)
    found: dict[str, str | None] = {}
    for kind in ("bos_token", "eos_token"):
        named = settings.get(kind)
        token = named.get("content") if isinstance(named, dict) else named
        if token is not None and not isinstance(token, str):
            raise ModelError(f"{file}: {kind} is a word, not {token!r}. Correct the file.")
        found[kind] = token
    return found


def check_weights(folder: Path) -> Weights:
    """Read the headers of a folder's weight files.

    Raises:
        ModelError: There are none, or one is not what it says.
    """
    require_safetensors(folder)
    num_tensors = num_parameters = 0
    for file in sorted(folder.rglob("*.safetensors")):
        for entry in _header(file).values():
            num_tensors += 1
            size = 1
            for length in entry["shape"]:
                size *= length
            num_parameters += size
    return Weights(num_tensors=num_tensors, num_parameters=num_parameters)


def _header(file: Path) -> dict[str, dict[str, Any]]:
    """Return the tensors that a safetensors file says it has; each lies inside the file."""
    total = file.stat().st_size
    with file.open("rb") as content:
        head = content.read(8)
        length = struct.unpack("<Q", head)[0] if len(head) == 8 else 0
        if not 2 <= length <= min(total - 8, _MOST_HEADER_BYTES):
            raise _broken(file, f"its header would have {length:,} of the file's {total:,} bytes")
        raw = content.read(length)
    try:
        header = json.loads(raw)
        entries = {name: entry for name, entry in header.items() if name != "__metadata__"}
        ends = [_end(entry) for entry in entries.values()]
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise _broken(file, f"its header cannot be read ({type(error).__name__})") from None
    if ends and max(ends) > total - 8 - length:
        raise _broken(file, "it ends before its last tensor does")
    return entries


def _end(entry: Mapping[str, Any]) -> int:
    """Return where a tensor ends in the file; raise where its entry is none."""
    begin, end = entry["data_offsets"]
    shape = entry["shape"]
    if not all(isinstance(number, int) and number >= 0 for number in (begin, end, *shape)):
        raise TypeError(entry)
    if begin > end:
        raise ValueError(entry)
    return int(end)


def _broken(file: Path, words: str) -> ModelError:
    return ModelError(f"{file} is no whole safetensors file: {words}. Copy or download it again.")


def _check_sizes(file: Path, settings: Mapping[str, Any], weights: Weights) -> None:
    """Refuse settings that ask for far more than the weights have: loading would never end."""
    text = _text_settings(settings)
    layers = _number(text, _LAYER_KEYS)
    if layers is not None and layers > _MOST_SHARED * weights.num_tensors:
        raise ModelError(
            f"{file}: the model would have {layers:,} layers, and the weights hold "
            f"{weights.num_tensors:,} tensors. Correct the file, or restore the weights."
        )
    vocabulary, width = _number(text, ("vocab_size",)), _number(text, _WIDTH_KEYS)
    wanted = (vocabulary or 1) * (width or 1)
    if wanted > _MOST_SHARED * max(1, weights.num_parameters):
        raise ModelError(
            f"{file}: an embedding of {vocabulary or 1:,} x {width or 1:,} numbers is asked for, "
            f"and the weights hold {weights.num_parameters:,}. Correct the file."
        )


def _number(settings: Mapping[str, Any], keys: tuple[str, ...]) -> int | None:
    for key in keys:
        value = settings.get(key)
        if isinstance(value, int) and not isinstance(value, bool):
            return value
    return None


def context_of(settings: Mapping[str, Any]) -> int | None:
    """Return how many tokens a model reads at once, as its settings say; None if they do not."""
    return _number(_text_settings(settings), CONTEXT_KEYS)


def _text_settings(settings: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the settings of the part that reads text, of a model that has several."""
    inner = settings.get("text_config")
    return inner if isinstance(inner, dict) else settings


def _settings(file: Path, *, is_required: bool) -> dict[str, Any]:
    settings = read_json(file, None)
    if settings is None:
        if is_required:
            raise ModelError(
                f"{file} is not there: a model's folder has its settings beside its weights."
            )
        return {}
    if not isinstance(settings, dict):
        raise ModelError(f"{file} holds no settings (keys with values). Restore the file.")
    return settings


def read_json(file: Path, default: Any) -> Any:
    """Return what a JSON file holds; the default where there is none.

    Raises:
        ModelError: It cannot be read, or is no JSON.
    """
    if not file.is_file():
        return default
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"{file} cannot be read as JSON ({error}). Restore the file.") from None
