"""What a file's name says: its format, its compression, or why it is not read.

The one place that knows endings. What is listed below a folder, what ``init`` finds and what a
reader does with a file all ask here. Cases do not matter: ``F.JSONL.GZ`` is ``f.jsonl.gz``. A name
says what a file claims to be; its first bytes have the last word, in ``rows.py``.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

Format = Literal["jsonl", "parquet", "csv", "tsv", "text", "arrow", "webdataset", "warc"]
Compression = Literal["gzip", "zstd", "bz2", "xz"]

FORMATS: dict[str, Format] = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".jsonlines": "jsonl",
    ".jl": "jsonl",
    ".parquet": "parquet",
    ".csv": "csv",
    ".tsv": "tsv",
    ".txt": "text",
    ".md": "text",
    ".text": "text",
    ".rst": "text",
    ".arrow": "arrow",
    ".feather": "arrow",
    ".ipc": "arrow",
    ".tar": "webdataset",
    ".warc": "warc",
    ".wet": "warc",
}
"""The format that an ending names."""

COMPRESSIONS: dict[str, Compression] = {
    ".gz": "gzip",
    ".gzip": "gzip",
    ".zst": "zstd",
    ".zstd": "zstd",
    ".bz2": "bz2",
    ".xz": "xz",
}
"""The compression that a last ending names."""

_SHORT: dict[str, str] = {".tgz": ".tar.gz", ".tbz2": ".tar.bz2", ".txz": ".tar.xz"}
"""Endings that stand for two."""

_ARCHIVE = "an archive: unpack it"
_PACKED = "a compression that is not read: pack it as .gz or .zst"
_PAGES = "a document with a layout: extract its text"
_MARKUP = "markup: extract its text"
_NUMBERS = "numbers or tokens, not text"
_DATABASE = "a database: export its text, for example as Parquet"
_CODE = "an object of a programming language, which may run code: export its text"
_MEDIA = "no text"

UNSUPPORTED: dict[str, str] = {
    **dict.fromkeys((".zip", ".7z", ".rar", ".cab", ".jar", ".cpio"), _ARCHIVE),
    **dict.fromkeys((".lz4", ".br", ".lzma", ".lz", ".z", ".sz", ".snappy", ".lzo"), _PACKED),
    **dict.fromkeys((".pdf", ".doc", ".docx", ".odt", ".rtf", ".epub", ".ps", ".djvu"), _PAGES),
    **dict.fromkeys((".ppt", ".pptx", ".xls", ".xlsx", ".ods"), _PAGES),
    **dict.fromkeys((".html", ".htm", ".xhtml", ".xml", ".tex", ".svg", ".sgml"), _MARKUP),
    **dict.fromkeys((".bin", ".idx", ".npy", ".npz", ".safetensors", ".h5", ".hdf5"), _NUMBERS),
    **dict.fromkeys(
        (".tfrecord", ".tfrecords", ".mds", ".avro", ".orc"), "not read: write Parquet"
    ),
    **dict.fromkeys((".sqlite", ".sqlite3", ".db", ".duckdb", ".mdb", ".lmdb"), _DATABASE),
    **dict.fromkeys((".pkl", ".pickle", ".pt", ".pth", ".joblib"), _CODE),
    **dict.fromkeys((".png", ".jpg", ".jpeg", ".gif", ".webp", ".bmp", ".tiff", ".ico"), _MEDIA),
    **dict.fromkeys((".mp3", ".mp4", ".wav", ".flac", ".ogg", ".webm", ".mov", ".avi"), _MEDIA),
    **dict.fromkeys((".exe", ".dll", ".so", ".o", ".pyc", ".class", ".wasm"), _MEDIA),
    **dict.fromkeys((".yaml", ".yml", ".toml", ".ini", ".cfg", ".lock"), "settings, not text"),
    **dict.fromkeys((".crc", ".md5", ".sha1", ".sha256", ".sha512", ".sig"), "a checksum"),
    **dict.fromkeys((".tmp", ".part", ".partial", ".crdownload", ".swp", ".bak"), "not finished"),
}
"""Endings that are known and not read, with the reason in a few words."""

COMPANIONS: frozenset[str] = frozenset({"dataset_info.json", "state.json", "dataset_dict.json"})
"""Files that stand beside the Arrow files of a data set that was saved to a folder."""
POOL_ABOUT, POOL_LABELS = "dirty.json", "labels.parquet"
"""What stands beside the sources of a dirty pool."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """What a file's name says of it."""

    format: Format | None
    """None where the name says no format that is read."""
    compression: Compression | None
    ending: str
    """The ending that names the format, or would; empty where there is none."""
    why_not: str = ""
    """Why the format is not read; empty where it is."""


def named(name: str) -> Named:
    """Return what a file's name says."""
    low = name.rsplit("/", 1)[-1].lower()
    for short, long in _SHORT.items():
        if low.endswith(short):
            low = low.removesuffix(short) + long
    stem, compression = _unpacked(low)
    ending = _ending(stem)
    form = FORMATS.get(ending)
    why = ""
    if form is None:
        why = UNSUPPORTED.get(ending, "")
        if ending in COMPRESSIONS:
            why = "packed twice: unpack it once"
    return Named(format=form, compression=compression, ending=ending, why_not=why)


def _unpacked(low: str) -> tuple[str, Compression | None]:
    for ending, compression in COMPRESSIONS.items():
        if low.endswith(ending) and low != ending:
            return low.removesuffix(ending), compression
    return low, None


def _ending(stem: str) -> str:
    """Return the last ending, with its dot; a hidden file's name is no ending."""
    head, dot, tail = stem.rpartition(".")
    return dot + tail if head and tail else ""


def is_data_name(name: str) -> bool:
    """Whether a name says that a file may hold text that can be read."""
    return named(name).format is not None


def refusal(name: str) -> str:
    """Return in words why a file of this name is not read unless its format is stated."""
    found = named(name)
    if found.why_not:
        return f"{found.ending} is {found.why_not}" if found.ending else found.why_not
    if not found.ending:
        return "the name has no ending: state the source's `format:`"
    return f"ending {found.ending} is not known: state the source's `format:`"


def companions(names: Collection[str]) -> set[str]:
    """Return which of the names of one folder say something of the data beside them.

    Alone, ``state.json`` is a file like any other, and so is ``labels.parquet``.
    """
    has_data = any(named(name).format == "arrow" for name in names)
    there = COMPANIONS.intersection(names)
    of_arrow = there if has_data else {"dataset_dict.json"} & there
    of_pool = {POOL_ABOUT, POOL_LABELS}
    return {*of_arrow, *(of_pool if of_pool <= set(names) else ())}
