"""What ``exports_beside_peers.py`` is compared with; run by the readers' environment.

``export_peers.py WAY DRAWS TO [TOKENIZER]`` prints the seconds without imports. What it reads are
the draws of an export as ``jsonl.gz``.
"""

import json
import sys
import time
from pathlib import Path


def datatrove(draws: Path, to: Path, tokenizer: str) -> float:
    """Tokenize into Megatron's pair, in the order that is there."""
    from datatrove.executor import LocalPipelineExecutor
    from datatrove.pipeline.readers import JsonlReader
    from datatrove.pipeline.tokens import MegatronDocumentTokenizer

    settings = json.loads(Path(tokenizer, "tokenizer_config.json").read_text())
    eos = settings["eos_token"]
    writer = MegatronDocumentTokenizer(
        output_folder=str(to),
        tokenizer_name_or_path=str(Path(tokenizer, "tokenizer.json")),
        eos_token=eos if isinstance(eos, str) else eos["content"],
    )
    reader = JsonlReader(str(draws), glob_pattern="*.jsonl.gz", compression="gzip")
    executor = LocalPipelineExecutor(
        pipeline=[reader, writer], tasks=1, workers=1, logging_dir=str(to / "logs")
    )
    began = time.perf_counter()
    executor.run()
    spent = time.perf_counter() - began
    if not any(to.rglob("*.bin")) and not any(to.rglob("*.idx")):
        raise SystemExit(f"nothing was written to {to}")
    return spent


def datasets(draws: Path, to: Path, form: str) -> float:
    """Load lines of JSON and write them once more."""
    from datasets import load_dataset
    from zstandard import ZstdCompressor

    to.mkdir()
    files = [str(path) for path in sorted(draws.glob("*.jsonl.gz"))]
    began = time.perf_counter()
    rows = load_dataset("json", data_files=files, split="train", cache_dir=str(to / "cache"))
    if form == "parquet":
        rows.to_parquet(str(to / "part.parquet"))
    else:
        # It packs as gzip, bz2 and xz alone, so that another package packs what it writes.
        with (
            (to / "part.jsonl.zst").open("wb") as file,
            ZstdCompressor().stream_writer(file) as out,
        ):
            rows.to_json(out, force_ascii=False)
    return time.perf_counter() - began


def main(way: str, draws: str, to: str, tokenizer: str = "") -> None:
    import pyarrow as pa

    pa.set_cpu_count(1)
    pa.set_io_thread_count(1)
    if way == "datatrove":
        print(datatrove(Path(draws), Path(to), tokenizer))
    else:
        print(datasets(Path(draws), Path(to), way))


if __name__ == "__main__":
    main(*sys.argv[1:])
