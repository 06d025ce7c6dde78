"""Read an export with its trainer's own reader, and write down what was found as JSON.

Run by the environment of readers, which has nothing of this project: ``read.py FORMAT FOLDER
WORK``. ``found.json`` in the folder of work then has ``reader``, and ``documents`` (ids of each),
``parts`` (ids of each file, as far as the reader hands them out) or ``texts``.
"""

import importlib.metadata
import json
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

SEQUENCE = 32


def megatron(folder: Path, work: Path) -> dict[str, Any]:
    from megatron.core.datasets.indexed_dataset import IndexedDataset

    found = []
    for path in sorted(folder.glob("*.idx")):
        dataset = IndexedDataset(str(path.with_suffix("")))
        found += [dataset[number].tolist() for number in range(len(dataset))]
    samples = _samples(folder / "part-00000", work)
    return {"documents": found, "samples": samples}


def _samples(prefix: Path, work: Path) -> list[list[int]]:
    """Return every sample of one pass over a pair, in Megatron's own order."""
    import numpy as np
    from megatron.core.datasets.gpt_dataset import GPTDataset, GPTDatasetConfig
    from megatron.core.datasets.indexed_dataset import IndexedDataset
    from megatron.core.datasets.utils import Split

    class Tokenizer:
        eod = pad = 0
        vocab_size = 1 << 16
        unique_identifiers = "none"

    whole = IndexedDataset(str(prefix))
    config = GPTDatasetConfig(
        random_seed=1,
        sequence_length=SEQUENCE,
        split="100,0,0",
        path_to_cache=str(work),
        tokenizer=Tokenizer(),
        reset_position_ids=False,
        reset_attention_mask=False,
        eod_mask_loss=False,
    )
    count = (int(whole.sequence_lengths.sum()) - 1) // SEQUENCE
    documents = np.arange(len(whole), dtype=np.int32)
    dataset = GPTDataset(whole, str(prefix), documents, count, Split.train, config)
    samples = (dataset[number] for number in range(len(dataset)))
    return [[*one["tokens"].tolist(), int(one["labels"][-1])] for one in samples]


def nanotron(folder: Path, work: Path) -> dict[str, Any]:
    from datatrove.utils.dataset import DatatroveFileDataset

    parts, positions = [], []
    for path in sorted(folder.glob("*.ds")):
        dataset = DatatroveFileDataset(str(path), SEQUENCE, 2, return_positions=True)
        windows = [dataset[number] for number in range(len(dataset))]
        parts.append([one for window in windows for one in window["input_ids"].tolist()])
        positions.append([one for window in windows for one in window["positions"].tolist()])
    return {"parts": parts, "positions": positions}


def olmo(folder: Path, work: Path) -> dict[str, Any]:
    import numpy as np
    from olmo_core.data import NumpyFSLDatasetConfig, TokenizerConfig
    from olmo_core.data.utils import iter_document_indices

    facts = json.loads((folder / "manifest.json").read_text())
    paths = sorted(folder.glob("*.npy"))
    eos = facts["eos_id"]
    config = NumpyFSLDatasetConfig(
        tokenizer=TokenizerConfig(facts["vocabulary_size"], eos_token_id=eos, pad_token_id=eos),
        paths=[str(path) for path in paths],
        sequence_length=SEQUENCE,
        work_dir=str(work),
    )
    dataset = config.build()
    dataset.prepare()
    assert np.dtype(dataset.dtype) == facts["dtype"]
    windows = [dataset[number]["input_ids"].tolist() for number in range(len(dataset))]
    documents, parts = [], []
    for path in paths:
        ids = np.memmap(path, facts["dtype"], mode="r")
        documents += [ids[start:end].tolist() for start, end in iter_document_indices(path)]
        taken = ids.size // SEQUENCE
        parts.append([one for window in windows[:taken] for one in window])
        windows = windows[taken:]
    return {"documents": documents, "parts": parts}


def litdata(folder: Path, work: Path) -> dict[str, Any]:
    from litdata import StreamingDataset
    from litdata.streaming.item_loader import TokensLoader

    loader = TokensLoader(block_size=SEQUENCE + 1)
    dataset = StreamingDataset(str(folder), item_loader=loader, shuffle=False)
    return {"parts": [[one for n in range(len(dataset)) for one in dataset[n].tolist()]]}


def mds(folder: Path, work: Path) -> dict[str, Any]:
    import transformers  # before what it would look for is covered

    _cover_torchvision()
    from streaming import StreamingDataset

    del transformers
    dataset = StreamingDataset(local=str(folder), shuffle=False, batch_size=1)
    rows = [dataset[number] for number in range(len(dataset))]
    return {
        "parts": [[one for row in rows for one in row["tokens"].tolist()]],
        "spans": [span for row in rows for span in row["spans"]],
    }


def _cover_torchvision() -> None:
    """Stand in for a package of pictures, which the part of Streaming for pictures imports."""
    names = {"torchvision": [], "torchvision.transforms": []}
    names["torchvision.datasets"] = ["VisionDataset", "CIFAR10"]
    names["torchvision.transforms.functional"] = ["to_tensor"]
    for name, members in names.items():
        sys.modules[name] = types.ModuleType(name)
        for member in members:
            setattr(sys.modules[name], member, type(member, (), {}))


def huggingface(folder: Path, work: Path) -> dict[str, Any]:
    from datasets import load_dataset

    whole = load_dataset(str(folder), split="train", cache_dir=str(work))
    streamed = load_dataset(str(folder), split="train", streaming=True)
    texts = [row["text"] for row in streamed]
    assert whole["text"][:] == texts
    return {"texts": texts}


def nanochat(folder: Path, work: Path) -> dict[str, Any]:
    import pyarrow.parquet as pq

    # nanochat is no package; its loader reads row group after row group of the sorted files.
    texts = []
    for path in sorted(folder.glob("*.parquet")):
        file = pq.ParquetFile(path)
        for number in range(file.num_row_groups):
            texts += file.read_row_group(number).column("text").to_pylist()
    return {"texts": texts}


def webdataset(folder: Path, work: Path) -> dict[str, Any]:
    import webdataset as wds

    urls = [str(path) for path in sorted(folder.glob("*.tar"))]
    return {"texts": [one["txt"] for one in wds.WebDataset(urls, shardshuffle=False).decode()]}


def croissant(folder: Path, work: Path) -> dict[str, Any]:
    import mlcroissant

    records = mlcroissant.Dataset(jsonld=str(folder / "croissant.json")).records("draws")
    return {"texts": [record["draws/text"].decode() for record in records]}


READERS: dict[str, tuple[str, Callable[[Path, Path], dict[str, Any]]]] = {
    "megatron": ("megatron-core", megatron),
    "nanotron": ("datatrove", nanotron),
    "olmo": ("ai2-olmo-core", olmo),
    "litdata": ("litdata", litdata),
    "mds": ("mosaicml-streaming", mds),
    "huggingface": ("datasets", huggingface),
    "nanochat": ("pyarrow", nanochat),
    "webdataset": ("webdataset", webdataset),
    "croissant": ("mlcroissant", croissant),
}


if __name__ == "__main__":
    form, folder, work = sys.argv[1:]
    package, read = READERS[form]
    answer = read(Path(folder), Path(work))
    reader = f"{package} {importlib.metadata.version(package)}"
    Path(work, "found.json").write_text(json.dumps({"reader": reader, **answer}))
