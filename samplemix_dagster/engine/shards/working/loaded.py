"""Models and fits in a worker: they stay loaded in the process that used them."""

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from samplemix_dagster.engine.memory import keep_blocks
from samplemix_dagster.errors import ModelError
from samplemix_dagster.storage.lake.lake import Lake
from samplemix_dagster.storage.models.files import digest_model, digest_tokenizer

if TYPE_CHECKING:
    from samplemix_dagster.config.around import TokenizingLibrary


# The digest is part of the cache's key: a folder whose files changed is another model.
@lru_cache(maxsize=2)
def reference(folder: str, digest: str, device: str, dtype: str) -> Any:
    """Return the reference of a folder, as ``storage.models.load`` gives it.

    Raises:
        ModelError: It was replaced since the run began.
    """
    from samplemix_dagster.storage.models.load import load_reference

    one_thread()
    model = load_reference(Path(folder), device, dtype)
    _check_model(folder, digest, digest_model(Path(folder)))
    return model


@lru_cache(maxsize=3)
def ngram_reference(folder: str, digest: str) -> Any:
    """Return the n-gram reference of a folder, as ``storage.models.ngram`` gives it.

    Raises:
        ModelError: It was replaced since the run began.
    """
    from samplemix_dagster.storage.models.ngram import load_ngram

    model = load_ngram(Path(folder))
    _check_model(folder, digest, digest_model(Path(folder)))
    return model


@lru_cache(maxsize=2)
def encoder(folder: str, digest: str, device: str, dtype: str) -> Any:
    """Return the encoder of a folder.

    Raises:
        ModelError: It was replaced since the run began.
    """
    from samplemix_dagster.storage.models.load import load_encoder

    one_thread()
    model = load_encoder(Path(folder), device, dtype)
    _check_model(folder, digest, digest_model(Path(folder)))
    return model


@lru_cache(maxsize=2)
def tokenizer(path: str, digest: str) -> Any:
    """Return the tokenizer of a folder or file.

    Raises:
        ModelError: It was replaced since the run began.
    """
    from samplemix_dagster.storage.models.load import load_tokenizer

    found = load_tokenizer(Path(path))
    _check_model(path, digest, digest_tokenizer(Path(path)))
    return found


@lru_cache(maxsize=4)
def text_ids(path: str, digest: str, library: "TokenizingLibrary") -> Any:
    """Return what turns texts into ids of the tokenizer of a folder or file, by a library.

    Raises:
        ConfigError: The library is not installed.
        ModelError: The tokenizer was replaced since the run began, or the library cannot read it.
    """
    from samplemix_dagster.storage.models.text_ids import text_ids

    return text_ids(tokenizer(path, digest), library)


@lru_cache(maxsize=2)
def ngram_text_ids(folder: str, digest: str, library: "TokenizingLibrary") -> Any:
    """Return what turns texts into ids of an n-gram reference's tokenizer, by a library.

    Raises:
        ConfigError: The library is not installed.
        ModelError: The reference was replaced since the run began, or the library cannot read it.
    """
    from samplemix_dagster.storage.models.text_ids import text_ids

    return text_ids(ngram_reference(folder, digest).tokenizer, library)


def _check_model(folder: str, expected: str, found: str) -> None:
    """Compare a model that was loaded with the one that the scores are to be filed under.

    Raises:
        ModelError: It was replaced since the run began.
    """
    if found != expected:
        raise ModelError(
            f"{folder} changed while this ran: it was {expected[:8]}, it is {found[:8]}. Nothing "
            "of it is kept; run again to score with what is there."
        )


@lru_cache(maxsize=4)
def fitted(path: str) -> Any:
    """Return the arrays of a fit's file, by name."""
    return Lake(Path(path).parent).read_arrays(Path(path).name)


def one_thread() -> None:
    """One thread a process: more cores mean more processes, and the same sums in the same order."""
    import torch
    import transformers

    keep_blocks()
    torch.set_num_threads(1)
    transformers.utils.logging.disable_progress_bar()
    transformers.utils.logging.set_verbosity_error()
