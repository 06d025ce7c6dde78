"""GGUF models as references: made dense once, and then a folder of safetensors like any other.

A GGUF file holds quantised weights, settings and a tokenizer in one. Transformers reads it with the
packages ``gguf`` and ``accelerate`` (the extra ``gguf``), and is fast only once the weights are
dense; so it is unpacked into ``.samplemix/models``, in bfloat16, and named by the file's digest.
Whatever version unpacked it, the model's digest is that of the file. Nothing is pickled.
"""

import hashlib
import importlib.util
import json
import shutil
import uuid
from pathlib import Path
from typing import Any

from samplemix_dagster.core.modelling.model_lock import MODEL_LOCK
from samplemix_dagster.errors import ModelError
from samplemix_dagster.storage.corpus.home import HOME, make_folder

ENDING = ".gguf"
_MAGIC = b"GGUF"
_FOLDER = "models"
_ORIGIN = "gguf.json"
"""In an unpacked folder: which file it was made from. Written last."""
_PACKAGES = ("gguf", "accelerate")


def gguf_in(path: Path) -> Path | None:
    """Return the GGUF file that a path is, or that is the only weights in it; None for others.

    Raises:
        ModelError: A folder holds several.
    """
    if path.is_file():
        return path if path.suffix == ENDING else None
    if any(path.rglob("*.safetensors")):
        return None
    found = sorted(path.glob(f"*{ENDING}"))
    if len(found) > 1:
        names = ", ".join(file.name for file in found)
        raise ModelError(f"{path} holds several GGUF files, {names}: name one of them as `model`.")
    return found[0] if found else None


def dense_folder(file: Path, digest: str, base: Path) -> Path:
    """Return the folder that a GGUF file was unpacked into, unpacking it where it was not.

    Args:
        file: The file.
        digest: The digest of its bytes.
        base: The project's folder.

    Raises:
        ModelError: It is no causal language model in GGUF, or a package is missing.
    """
    folder = base / HOME / _FOLDER / digest
    if not (folder / _ORIGIN).is_file():
        _check(file)
        make_folder(folder.parent)
        aside = folder.with_name(f".{digest}.{uuid.uuid4().hex[:12]}")
        try:
            _unpack(file, aside)
            (aside / _ORIGIN).write_text(json.dumps({"file": file.name, "digest": digest}))
            _put(aside, folder)
        finally:
            shutil.rmtree(aside, ignore_errors=True)
    return folder


def origin_digest(folder: Path) -> str | None:
    """Return the digest of the GGUF file that a folder was unpacked from; None for others."""
    is_ours = folder.parent.name == _FOLDER and folder.parent.parent.name == HOME
    if not is_ours or not (folder / _ORIGIN).is_file():
        return None
    return str(json.loads((folder / _ORIGIN).read_text(encoding="utf-8"))["digest"])


def origin_tokenizer_digest(folder: Path) -> str | None:
    """Return the digest of the tokenizer in that GGUF file; None for other folders."""
    digest = origin_digest(folder)
    if digest is None:
        return None
    return hashlib.blake2b(f"{digest}/tokenizer".encode(), digest_size=16).hexdigest()


def missing_packages() -> list[str]:
    """Return the packages that reading a GGUF file needs and that are not installed."""
    return [name for name in _PACKAGES if importlib.util.find_spec(name) is None]


def _check(file: Path) -> None:
    with file.open("rb") as content:
        if content.read(len(_MAGIC)) != _MAGIC:
            raise ModelError(f"{file} is no GGUF file. Copy or download it again.")
    if missing := missing_packages():
        raise ModelError(
            f"{file.name} is a GGUF file, and reading one needs {' and '.join(missing)}: "
            "pip install 'samplemix-dagster[gguf]'."
        )


def _unpack(file: Path, folder: Path) -> None:
    try:
        with MODEL_LOCK:
            model, tokenizer = _read(file)
            model.save_pretrained(folder)
            tokenizer.save_pretrained(folder)
    except ModelError:
        raise
    except Exception as error:  # each architecture fails in its own way
        raise ModelError(f"{file} cannot be read as a causal language model: {error}") from error


def _read(file: Path) -> tuple[Any, Any]:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.utils import logging

    was_shown, level = logging.is_progress_bar_enabled(), logging.get_verbosity()
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    try:
        model, info = AutoModelForCausalLM.from_pretrained(
            file.parent,
            gguf_file=file.name,
            dtype=torch.bfloat16,
            local_files_only=True,
            trust_remote_code=False,
            output_loading_info=True,
            **_dense(),
        )
        if info["missing_keys"]:
            raise ModelError(f"{file} lacks weights, first {min(info['missing_keys'])}.")
        if hasattr(model.config, "quantization_config"):
            del model.config.quantization_config  # what is saved is dense
        tokenizer = AutoTokenizer.from_pretrained(
            file.parent, gguf_file=file.name, local_files_only=True, trust_remote_code=False
        )
    finally:
        logging.set_verbosity(level)
        if was_shown:
            logging.enable_progress_bar()
    return model.to(torch.bfloat16), tokenizer


def _dense() -> dict[str, object]:
    """Return what asks for dense weights; older releases of transformers know no others."""
    import transformers

    config = getattr(transformers, "GgufConfig", None)
    return {} if config is None else {"quantization_config": config(dequantize=True)}


def _put(aside: Path, folder: Path) -> None:
    """Move a finished folder into place; another process may have been faster."""
    try:
        aside.rename(folder)
    except OSError:
        if not (folder / _ORIGIN).is_file():
            shutil.rmtree(folder, ignore_errors=True)
            aside.rename(folder)
