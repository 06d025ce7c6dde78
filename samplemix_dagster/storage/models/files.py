"""Find models and name them by content: local folders, installed packages, the hub.

Loading what is found is ``load.py``. Weights are safetensors only, since a pickle runs code. Only
resolving a hub name opens a connection.
"""

import hashlib
import importlib.util
import math
import re
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from samplemix_dagster.errors import ModelError, TransientError
from samplemix_dagster.storage.models.gguf import (
    dense_folder,
    gguf_in,
    origin_digest,
    origin_tokenizer_digest,
)

# A cross-fitted reference is a pair of models in these folders.
FOLDS = ("fold-0", "fold-1")
_PACKAGE = "package:"
_HUB_NAME = re.compile(r"[\w-][\w.-]*/[\w.-]+|[\w-][\w.-]*")
_TOKENIZER_FILES = ("*.json", "*.txt", "*.model", "*.tiktoken")
_WEIGHTS = ".safetensors"
_PICKLES = ("*.bin", "*.pt", "*.pth", "*.pkl", "*.ckpt")
_DIGESTED = frozenset({_WEIGHTS, ".json", ".txt", ".model", ".tiktoken"})
# Copies of the same weights in another format, and what downloads leave behind.
_IGNORED_FOLDERS = frozenset({"onnx", "openvino", "coreml", "__pycache__"})
_CONVERT = (
    'convert them where you trust them: AutoModelForCausalLM.from_pretrained("...")'
    '.save_pretrained("FOLDER"), then name FOLDER'
)

_SETTLED_NANOSECONDS = 2_000_000_000
_file_digests: dict[tuple[str, int, int], bytes] = {}


def resolve_model(model: str, revision: str | None, base: Path) -> Path:
    """Return the folder of a model, downloading it where it is a hub name.

    Args:
        model: A folder (absolute, or relative to ``base``), ``package:NAME/FOLDER`` for a folder
            inside an installed package, or a hub name such as ``org/name``. A folder comes first.
            A GGUF file, named so or alone in its folder, is unpacked (``gguf.py``).
        revision: The commit or tag of a hub name; a folder needs none.
        base: What relative folders are relative to.

    Raises:
        ModelError: It is not found, cannot be downloaded, has no pinned revision, or its weights
            are pickles.
    """
    folder = found_locally(model, base)
    if folder is None:
        folder = _download(model, revision, (f"*{_WEIGHTS}", *_TOKENIZER_FILES))
    packed = gguf_in(folder)
    if packed is not None:
        return dense_folder(packed, digest_model(packed), base)
    if not folder.is_dir():
        raise ModelError(
            f"a model is a folder of weights and settings, or a GGUF file; {model!r} is a file"
        )
    require_safetensors(folder)
    return folder


def resolve_tokenizer(tokenizer: str, revision: str | None, base: Path) -> Path:
    """Return the folder or file of a tokenizer, named as :func:`resolve_model` has it.

    A local file may be named too. From the hub no weights are downloaded.

    Raises:
        ModelError: It is not found, cannot be downloaded, or has no pinned revision.
    """
    path = found_locally(tokenizer, base)
    packed = None if path is None else gguf_in(path)
    if packed is not None:
        return dense_folder(packed, digest_model(packed), base)
    return _download(tokenizer, revision, _TOKENIZER_FILES) if path is None else path


def digest_model(path: Path) -> str:
    """Return the BLAKE2b digest of a model's weight, settings and tokenizer files, 32 hex digits.

    The files' names inside the folder count, where the folder lies does not; nor do a README,
    hidden files, and copies for other runtimes. A single file is its content alone. File digests
    are kept in the process by path, size and modification time.

    Raises:
        ModelError: There is no such file.
    """
    if path.is_file():
        return _file_digest(path).hex()
    return origin_digest(path) or _digest_files(path, _model_files(path))


def digest_tokenizer(path: Path) -> str:
    """Return the digest of a tokenizer, 32 hex digits: the same for two references that share it.

    It is that of ``tokenizer.json`` alone where there is one, in a folder or named as a file, and
    else of the folder's settings and tokenizer files without its weights.

    Raises:
        ModelError: There is no tokenizer file.
    """
    path = first_fold(path)
    if (packed := origin_tokenizer_digest(path)) is not None:
        return packed
    file = path / "tokenizer.json"
    if path.is_file() or file.is_file():
        return _file_digest(path if path.is_file() else file).hex()
    return _digest_files(path, [file for file in _model_files(path) if file.suffix != _WEIGHTS])


def count_parameters(folder: Path) -> int:
    """Return the parameters that a model's weight files hold, from their headers alone.

    Of a cross-fitted pair it is one model's; tied ones count once, since they are stored once.

    Raises:
        ModelError: There are no weights.
    """
    from safetensors import safe_open

    require_safetensors(folder)
    folder = first_fold(folder)
    # A hub folder may hold a second copy of the weights under another name.
    files = sorted(folder.glob("model*.safetensors")) or sorted(folder.glob("*.safetensors"))
    total = 0
    for file in files:
        with safe_open(str(file), framework="numpy") as weights:
            shapes = [weights.get_slice(name).get_shape() for name in weights.keys()]  # noqa: SIM118
        total += sum(math.prod(shape) for shape in shapes)
    return total


def first_fold(path: Path) -> Path:
    """Return the folder of a cross-fitted pair's first model; any other path is its own."""
    return path / FOLDS[0] if (path / FOLDS[0]).is_dir() else path


def found_locally(name: str, base: Path) -> Path | None:
    """Return the path that a model's name means on this machine; None for a hub name.

    Raises:
        ModelError: It is neither: a package that is not installed, or a path that is not there.
    """
    if name.startswith(_PACKAGE):
        return _inside_package(name)
    path = base / Path(name).expanduser()
    if path.exists():
        return path
    if not _HUB_NAME.fullmatch(name):
        raise ModelError(f"{path} does not exist, and {name!r} is no hub name (org/name)")
    return None


def _inside_package(name: str) -> Path:
    package, _, inner = name.removeprefix(_PACKAGE).partition("/")
    spec = importlib.util.find_spec(package) if package.isidentifier() else None
    if spec is None or not spec.submodule_search_locations:
        msg = f"{name!r} names the package {package!r}, which is not installed here: install it"
        raise ModelError(msg)
    for location in spec.submodule_search_locations:
        if inner and (Path(location) / inner).exists():
            return Path(location) / inner
    raise ModelError(f"the package {package!r} is installed but holds no {inner!r}")


def _download(name: str, revision: str | None, patterns: Sequence[str]) -> Path:
    import huggingface_hub

    if revision is None:
        msg = (
            f"{name!r} is a hub name without a revision, so its weights could change under you: "
            "pin it with `revision: COMMIT` (or it is a folder that does not exist)"
        )
        raise ModelError(msg)
    try:
        folder = huggingface_hub.snapshot_download(
            name, revision=revision, allow_patterns=list(patterns)
        )
    except Exception as error:  # whatever a client of a network can raise
        if _can_pass(error):
            msg = f"{name!r} could not be fetched: the hub cannot be reached or is busy ({error})"
            raise TransientError(msg) from error
        msg = (
            f"{name!r} at revision {revision!r} could not be fetched from the hub and is not in "
            f"its cache: {error}. Check the name, the revision and the connection, or name a folder"
        )
        raise ModelError(msg) from error
    return Path(folder)


def _can_pass(error: BaseException) -> bool:
    """Whether a download failed for want of a connection or of the hub, not of what was asked."""
    chain: list[BaseException] = [error]
    while chain[-1].__cause__ or chain[-1].__context__:
        chain.append(chain[-1].__cause__ or chain[-1].__context__)  # type: ignore[arg-type]
    for link in chain:
        status = getattr(getattr(link, "response", None), "status_code", None)
        if type(link).__name__ == "OfflineModeIsEnabled":
            return False
        if isinstance(status, int):
            return status >= 500 or status == 429
    names = {base.__name__ for link in chain for base in type(link).__mro__}
    return bool(names & {"ConnectionError", "TimeoutError", "Timeout", "TransportError"})


def _model_files(folder: Path) -> Iterator[Path]:
    for file in folder.rglob("*"):
        parts = file.relative_to(folder).parts
        is_ours = not any(part in _IGNORED_FOLDERS or part.startswith(".") for part in parts)
        is_readme = parts[-1].startswith("README")
        if is_ours and not is_readme and file.suffix in _DIGESTED and file.is_file():
            yield file


def _digest_files(folder: Path, files: Iterable[Path]) -> str:
    digest = hashlib.blake2b(digest_size=16)
    names = sorted(file.relative_to(folder).as_posix() for file in files)
    if not names:
        raise ModelError(f"{folder} holds no weight, settings or tokenizer file")
    for name in names:
        digest.update(f"{len(name.encode())}:{name}".encode())
        digest.update(_file_digest(folder / name))
    return digest.hexdigest()


def _file_digest(file: Path) -> bytes:
    if not file.is_file():
        raise ModelError(f"{file} does not exist")
    facts = file.stat()
    key = (str(file.resolve()), facts.st_size, facts.st_mtime_ns)
    known = _file_digests.get(key)
    if known is None:
        with file.open("rb") as content:
            made = hashlib.file_digest(content, lambda: hashlib.blake2b(digest_size=16))
        known = made.digest()
        # A file just written may be written again within one tick of the file system's clock.
        if time.time_ns() - facts.st_mtime_ns > _SETTLED_NANOSECONDS:
            _file_digests[key] = known
    return known


def require_safetensors(folder: Path) -> None:
    """Raise ``ModelError`` where a model's folder has no safetensors weights."""
    if any(file.suffix == _WEIGHTS for file in _model_files(folder)):
        return
    pickles = sorted(file.name for pattern in _PICKLES for file in folder.rglob(pattern))
    if pickles:
        msg = f"{folder} has only pickled weights ({pickles[0]}), which can run code; {_CONVERT}"
        raise ModelError(msg)
    raise ModelError(f"{folder} holds no safetensors weights; if the model has others, {_CONVERT}")
