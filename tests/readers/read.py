"""Read an export with its trainer's own reader, and write down what was found as JSON.

Run by the environment of readers, which has nothing of this project: ``read.py FORMAT FOLDER
WORK``. ``found.json`` in the folder of work then has ``reader``, ``seconds`` of a second reading,
and ``documents`` (ids of each), ``parts`` (ids of each file, as far as the reader hands them out)
or ``texts``.
"""

import importlib.metadata
import json
import sys
import time
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
    from olmo_core.data import NumpyDataLoaderConfig, NumpyFSLDatasetConfig, TokenizerConfig
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
    loader = NumpyDataLoaderConfig(global_batch_size=SEQUENCE, seed=0).build(dataset)
    loader.shuffle = False  # what `samplemix launch` says
    loader.reshuffle(epoch=1)
    assert [row for batch in loader for row in batch["input_ids"].tolist()] == windows
    documents, parts = [], []
    for path in paths:
        ids = np.memmap(path, facts["dtype"], mode="r")
        documents += [ids[start:end].tolist() for start, end in iter_document_indices(path)]
        taken = ids.size // SEQUENCE
        parts.append([one for window in windows[:taken] for one in window])
        windows = windows[taken:]
    return {"documents": documents, "parts": parts}


def modalities(folder: Path, work: Path) -> dict[str, Any]:
    from modalities.dataloader.dataset import PackedMemMapDatasetBase, PackedMemMapDatasetContinuous

    documents, parts = [], []
    for path in sorted(folder.glob("*.pbin")):
        whole = PackedMemMapDatasetBase(path, "ids")
        documents += [whole[number]["ids"].tolist() for number in range(len(whole))]
        blocks = PackedMemMapDatasetContinuous(path, "ids", SEQUENCE + 1, reuse_last_target=True)
        found = [blocks[number]["ids"].tolist() for number in range(len(blocks))]
        parts.append([*found[0][:1], *(one for block in found for one in block[1:])])
    return {"documents": documents, "parts": parts}


def litdata(folder: Path, work: Path) -> dict[str, Any]:
    from litdata import StreamingDataset
    from litdata.streaming.item_loader import TokensLoader

    loader = TokensLoader(block_size=SEQUENCE + 1)
    dataset = StreamingDataset(str(folder), item_loader=loader, shuffle=False)
    return {"parts": [[one for n in range(len(dataset)) for one in dataset[n].tolist()]]}


def mds(folder: Path, work: Path) -> dict[str, Any]:
    import transformers  # before what it would look for is covered

    sys.path.append(str(Path(__file__).parents[2] / "examples" / "trainers"))
    from without_pictures import cover_torchvision

    cover_torchvision()
    from streaming import StreamingDataset

    del transformers
    dataset = StreamingDataset(local=str(folder), shuffle=False, batch_size=1)
    rows = [dataset[number] for number in range(len(dataset))]
    return {
        "parts": [[one for row in rows for one in row["tokens"].tolist()]],
        "spans": [span for row in rows for span in row["spans"]],
    }


def huggingface(folder: Path, work: Path) -> dict[str, Any]:
    from datasets import load_dataset

    whole = load_dataset(str(folder), split="train", cache_dir=str(work))
    streamed = load_dataset(str(folder), split="train", streaming=True)
    texts = [row["text"] for row in streamed]
    assert whole["text"][:] == texts
    return {"texts": texts}


def files(kind: str) -> Callable[[Path, Path], dict[str, Any]]:
    """Return what reads plain files of texts with ``datasets``."""

    def read(folder: Path, work: Path) -> dict[str, Any]:
        from datasets import load_dataset

        named = [str(path) for path in sorted(folder.glob("part-*"))]
        rows = load_dataset(kind, data_files=named, split="train", cache_dir=str(work))
        return {"texts": rows["text"][:]}

    return read


def arrayrecord(folder: Path, work: Path) -> dict[str, Any]:
    import grain
    from tfrecord import example_pb2

    paths = [str(path) for path in sorted(folder.glob("*.array_record"))]
    records = grain.MapDataset.source(grain.sources.ArrayRecordDataSource(paths))
    examples = (example_pb2.Example.FromString(record) for record in records)
    texts = (one.features.feature["text"].bytes_list.value[0] for one in examples)
    return {"texts": [text.decode() for text in texts]}


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
    "modalities": ("modalities", modalities),
    "litdata": ("litdata", litdata),
    "mds": ("mosaicml-streaming", mds),
    "jsonl": ("datasets", files("json")),
    "jsonl.gz": ("datasets", files("json")),
    "jsonl.zst": ("datasets", files("json")),
    "parquet": ("datasets", files("parquet")),
    "huggingface": ("datasets", huggingface),
    "arrayrecord": ("grain", arrayrecord),
    "nanochat": ("pyarrow", nanochat),
    "webdataset": ("webdataset", webdataset),
    "croissant": ("mlcroissant", croissant),
}


if __name__ == "__main__":
    form, folder, work = sys.argv[1:]
    package, read = READERS[form]
    Path(work, "first").mkdir()
    read(Path(folder), Path(work, "first"))  # what is imported is not what is measured
    began = time.perf_counter()
    answer = read(Path(folder), Path(work))
    seconds = time.perf_counter() - began
    reader = f"{package} {importlib.metadata.version(package)}"
    found = {"reader": reader, "seconds": seconds, **answer}
    Path(work, "found.json").write_text(json.dumps(found))
