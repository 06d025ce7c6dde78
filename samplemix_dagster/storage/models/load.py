"""Load and save models: references, tokenizers and encoders. Nothing here scores a text.

Finding a model and its digest are ``storage/models/files.py``, and are offered here too. No code
from a model's folder is ever run, and loading opens no connection. Torch and transformers are
imported by the functions that need them.
"""

import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from samplemix_dagster.core.modelling.model_lock import MODEL_LOCK
from samplemix_dagster.errors import ConfigError, ModelError
from samplemix_dagster.storage.models.checks import (
    CONTEXT_KEYS,
    SHORTEST_CONTEXT,
    check_encoder,
    check_weights,
    start_token_names,
)
from samplemix_dagster.storage.models.files import (
    FOLDS,
    count_parameters,
    digest_model,
    digest_tokenizer,
    first_fold,
    resolve_model,
    resolve_tokenizer,
)
from samplemix_dagster.storage.models.tokenizer import load_tokenizer

if TYPE_CHECKING:
    from tokenizers import Tokenizer

__all__ = [
    "LoadedReference",
    "count_parameters",
    "digest_model",
    "digest_tokenizer",
    "end_token_id",
    "load_encoder",
    "load_reference",
    "load_tokenizer",
    "pick_device",
    "pick_dtype",
    "resolve_model",
    "resolve_tokenizer",
    "save_reference",
]

_DTYPES = ("float32", "bfloat16", "float16")


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedReference:
    """A reference that is ready to score.

    Attributes:
        models: One model, or two where it is cross-fitted: ``models[k]`` was not trained on the
            documents of fold k and scores them.
        tokenizer: Neither truncates nor pads.
        start_token_id: Begins a document: the tokenizer's or model's BOS, else its EOS, else none.
        context_tokens: Most inputs in one window.
        num_parameters: Of one model, tied ones once.
        device: Where the models are: ``cpu``, ``cuda``, ``cuda:1``, ``mps``.
        dtype: What they compute in: ``float32``, ``bfloat16`` or ``float16``.
    """

    models: tuple[Any, ...]
    tokenizer: "Tokenizer"
    start_token_id: int | None
    context_tokens: int
    num_parameters: int
    device: str
    dtype: str


def pick_device(requested: str = "auto") -> str:
    """Return the device to compute on: ``auto`` is the first of cuda, mps and cpu that is there.

    Raises:
        ConfigError: The device is unknown or not on this machine; nothing else is taken instead.
    """
    import torch

    has_cuda, has_mps = torch.cuda.is_available(), torch.backends.mps.is_available()
    if requested == "auto":
        return "cuda" if has_cuda else "mps" if has_mps else "cpu"
    is_known = re.fullmatch(r"cpu|mps|cuda(:\d+)?", requested)
    if not is_known:
        raise ConfigError(f"device is auto, cpu, cuda, cuda:N or mps, not {requested!r}")
    num_cuda = torch.cuda.device_count() if has_cuda else 0
    index = int(requested.partition(":")[2] or 0)
    if (requested == "mps" and not has_mps) or (requested[:4] == "cuda" and index >= num_cuda):
        msg = f"device {requested!r} is not on this machine ({num_cuda} CUDA devices); use auto"
        raise ConfigError(msg)
    return requested


def pick_dtype(device: str, requested: str = "auto") -> str:
    """Return the dtype to compute in, by name, so that it can enter a recipe.

    ``auto`` is bfloat16 on CUDA and on a CPU that multiplies bfloat16 in hardware, else float32.

    Raises:
        ConfigError: The dtype is unknown.
    """
    if requested in _DTYPES:
        return requested
    if requested != "auto":
        raise ConfigError(f"dtype is auto, {', '.join(_DTYPES)}, not {requested!r}")
    is_native = device.startswith("cuda") or (device == "cpu" and _cpu_has_bfloat16())
    return "bfloat16" if is_native else "float32"


def load_reference(
    folder: Path, device: str, dtype: str, *, max_context_tokens: int = 2048
) -> LoadedReference:
    """Load a causal language model, or a cross-fitted pair in ``fold-0/`` and ``fold-1/``.

    Args:
        folder: As :func:`resolve_model` or :func:`save_reference` leaves it.
        device: A device's name, from :func:`pick_device`.
        dtype: A dtype's name, from :func:`pick_dtype`.
        max_context_tokens: Cap on the model's own context: attention costs its square.

    Raises:
        ModelError: It cannot be loaded, or the folds do not belong together.
    """
    is_crossfitted = (folder / FOLDS[0]).is_dir()
    folders = [folder / name for name in FOLDS] if is_crossfitted else [folder]
    models = tuple(_load_causal(part, device, dtype) for part in folders)
    tokenizers = [load_tokenizer(part) for part in folders]
    if len({tokenizer.to_str() for tokenizer in tokenizers}) > 1:
        raise ModelError(f"the folds of {folder} have different tokenizers; train them again")
    config = models[0].config.get_text_config()
    contexts = [getattr(config, key, None) for key in CONTEXT_KEYS]
    known = [length for length in contexts if isinstance(length, int)]
    if known and known[0] < SHORTEST_CONTEXT:
        raise ModelError(f"{folder}: the model reads {known[0]} tokens at once; too few to score")
    return LoadedReference(
        models=models,
        tokenizer=tokenizers[0],
        start_token_id=_start_token(folders[0], config, tokenizers[0]),
        context_tokens=min([max_context_tokens, *known[:1]]),
        num_parameters=sum(parameter.numel() for parameter in models[0].parameters()),
        device=device,
        dtype=dtype,
    )


def save_reference(model: Any, tokenizer: "Tokenizer", folder: Path) -> None:
    """Write a model and its tokenizer so that :func:`load_reference` and transformers read them.

    Written aside and renamed, so a broken write leaves no folder; one that exists is replaced.

    Args:
        model: A transformers model whose configuration names ``eos_token_id``.
        tokenizer: Its tokenizer; the token of that id becomes BOS and EOS.
        folder: Where to.
    """
    from transformers import PreTrainedTokenizerFast

    aside = folder.with_name(folder.name + ".writing")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    model.save_pretrained(aside)
    separator = tokenizer.id_to_token(model.config.eos_token_id)
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=separator,
        eos_token=separator,
        clean_up_tokenization_spaces=False,
        model_max_length=model.config.max_position_embeddings,
    ).save_pretrained(aside)
    tokenizer.save(str(aside / "tokenizer.json"))
    if folder.exists():
        shutil.rmtree(folder)
    aside.rename(folder)


def end_token_id(path: Path, tokenizer: "Tokenizer") -> int | None:
    """Return the id of a tokenizer's EOS; None where its settings name none that it has.

    Raises:
        ModelError: The settings are no settings.
    """
    return _named_id(path, tokenizer, "eos_token")


def start_token_id(path: Path, tokenizer: "Tokenizer") -> int | None:
    """Return the id of a tokenizer's BOS; None where its settings name none that it has.

    Raises:
        ModelError: The settings are no settings.
    """
    return _named_id(path, tokenizer, "bos_token")


def _named_id(path: Path, tokenizer: "Tokenizer", kind: str) -> int | None:
    place = first_fold(path)
    token = start_token_names(place.parent if place.is_file() else place)[kind]
    found = None if token is None else tokenizer.token_to_id(token)
    return None if found is None else int(found)


def load_encoder(folder: Path, device: str, dtype: str = "float32") -> Any:
    """Load a ``SentenceTransformer`` from a folder, without a connection and without its code.

    Args:
        folder: As :func:`resolve_model` gives it.
        device: A device's name, from :func:`pick_device`.
        dtype: A dtype's name, from :func:`pick_dtype`.

    Raises:
        ModelError: It is not an encoder, wants its own code, or its weights are pickles.
    """
    with MODEL_LOCK:
        from sentence_transformers import SentenceTransformer

    check_encoder(folder)
    try:
        with MODEL_LOCK:
            return SentenceTransformer(
                str(folder),
                device=device,
                local_files_only=True,
                trust_remote_code=False,
                model_kwargs={"use_safetensors": True, "torch_dtype": dtype},
            )
    except Exception as error:  # each architecture fails in its own way
        raise ModelError(f"{folder} cannot be loaded as an encoder: {error}") from error


def _load_causal(folder: Path, device: str, dtype: str) -> Any:
    with MODEL_LOCK:
        import torch
        from transformers import AutoModelForCausalLM

    check_weights(folder)
    try:
        with MODEL_LOCK:
            model, info = AutoModelForCausalLM.from_pretrained(
                folder,
                torch_dtype=getattr(torch, dtype),
                use_safetensors=True,
                local_files_only=True,
                trust_remote_code=False,
                output_loading_info=True,
            )
    except Exception as error:  # each architecture fails in its own way
        msg = f"{folder} cannot be loaded as a causal language model: {error}"
        raise ModelError(msg) from error
    if info["missing_keys"]:
        missing = min(info["missing_keys"])
        msg = (
            f"{folder} lacks weights of a {type(model).__name__}, first {missing}; they would be "
            "random. It is not a causal language model, or not a whole one"
        )
        raise ModelError(msg)
    return model.to(device).eval()


def _start_token(folder: Path, config: Any, tokenizer: "Tokenizer") -> int | None:
    """Return the id that begins a document: BOS before EOS, the tokenizer's before the model's."""
    for kind, token in start_token_names(folder).items():
        of_tokenizer = None if token is None else tokenizer.token_to_id(token)
        of_model = getattr(config, f"{kind}_id", None)
        if isinstance(of_model, list):
            of_model = of_model[0] if of_model else None
        for candidate in (of_tokenizer, of_model):
            # A configuration's default id may lie outside a small vocabulary.
            if candidate is not None and 0 <= candidate < config.vocab_size:
                return int(candidate)
    return None


def _cpu_has_bfloat16() -> bool:
    """Tell whether the CPU multiplies bfloat16 in hardware (AVX512-BF16 or AMX-BF16)."""
    import torch

    capabilities: dict[str, object] = getattr(torch.cpu, "get_capabilities", dict)()
    if capabilities:
        return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))
    # Older torch knows it under a private name; without either, float32 is always right.
    return bool(getattr(torch.cpu, "_is_avx512_bf16_supported", bool)())
