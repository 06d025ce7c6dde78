"""Load a tokenizer, and turn what it raises into an error that names its file."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from samplemix_dagster.errors import ModelError
from samplemix_dagster.storage.models.files import first_fold

if TYPE_CHECKING:
    from tokenizers import Tokenizer


def is_panic(error: BaseException) -> bool:
    """Whether an error is a panic of a Rust library, which is no ``Exception``."""
    return type(error).__name__ == "PanicException"


@contextlib.contextmanager
def as_model_errors(what: str) -> Iterator[None]:
    """Turn what a tokenizer raises, panics as well, into a ModelError.

    Args:
        what: The file or folder, for the message.
    """
    try:
        yield
    except ModelError:
        raise
    except BaseException as error:
        if not isinstance(error, Exception) and not is_panic(error):
            raise
        words = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ModelError(f"{what}: the tokenizer failed ({words[:200]})") from error


def load_tokenizer(path: Path) -> "Tokenizer":
    """Load a fast tokenizer from a ``tokenizer.json`` or from a model's folder.

    It neither truncates nor pads, and words of a text that look like a special token are text.

    Raises:
        ModelError: There is none, or it cannot be read.
    """
    from tokenizers import Tokenizer

    folder = first_fold(path)
    file = folder if folder.is_file() else folder / "tokenizer.json"
    with as_model_errors(f"{path} holds no fast tokenizer that can be read"):
        is_fast = file.is_file()
        tokenizer = Tokenizer.from_file(str(file)) if is_fast else _convert_tokenizer(folder)
    tokenizer.no_truncation()
    tokenizer.no_padding()
    tokenizer.encode_special_tokens = True
    return tokenizer


def _convert_tokenizer(folder: Path) -> "Tokenizer":
    from transformers import AutoTokenizer

    loaded = AutoTokenizer.from_pretrained(
        folder, use_fast=True, local_files_only=True, trust_remote_code=False
    )
    backend: Tokenizer = loaded.backend_tokenizer
    return backend
