"""What an export counts again: all whose ids it writes, and of texts a few, by their names."""

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from samplemix_dagster.core.hashing import doc_id
from samplemix_dagster.errors import CheckFailedError
from samplemix_dagster.export_formats.format import Vocabulary
from samplemix_dagster.export_formats.wanted import Wanted
from samplemix_dagster.stages.export import encoding
from samplemix_dagster.stages.export.encoding import Encoder
from samplemix_dagster.stages.export.exporting import export_version
from samplemix_dagster.storage.models.load import load_tokenizer
from tests.engine.runs import version
from tests.projects import needs_encoder, open_project

NAMES = {row: doc_id(f"text {row}") for row in range(1_000)}
TEXTS = Encoder(text_ids=None, vocabulary=None)
IDS = Encoder(
    text_ids=None,
    vocabulary=Vocabulary(size=9, tokenizer="0", eos="end", eos_id=1, inside="keep", bos="none"),
)


@pytest.mark.parametrize(("num_rows", "wanted"), [(1, 1), (64, 1), (65, 2), (1_000, 16)])
def test_of_texts_one_in_64_is_counted_and_at_least_one(num_rows: int, wanted: int) -> None:
    found = TEXTS.rows_to_count(NAMES, range(num_rows))
    assert len(found) == wanted
    assert found <= set(range(num_rows))


def test_which_they_are_depends_on_names_alone() -> None:
    found = TEXTS.rows_to_count(NAMES, range(1_000))
    assert TEXTS.rows_to_count(NAMES, range(999, -1, -1)) == found
    moved = {row + 7: name for row, name in NAMES.items()}
    assert TEXTS.rows_to_count(moved, moved) == {row + 7 for row in found}


def test_where_ids_are_written_each_is_counted() -> None:
    assert IDS.rows_to_count(NAMES, range(70)) == set(range(70))


class Miscounting:
    """A tokenizer whose newer release makes one token more of a text."""

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer
        self.num_texts = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.tokenizer, name)

    def encode_batch_fast(self, texts: Sequence[str], *, add_special_tokens: bool) -> list[Any]:
        self.num_texts += len(texts)
        found = self.tokenizer.encode_batch_fast(texts, add_special_tokens=add_special_tokens)
        return [SimpleNamespace(ids=[*one.ids, 0]) for one in found]


@needs_encoder
@pytest.mark.parametrize("form", ["jsonl.zst", "parquet", "tokens"])
def test_a_count_that_is_not_the_ledgers_is_found(
    form: str, finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load = load_tokenizer
    monkeypatch.setattr(encoding, "load_tokenizer", lambda folder: Miscounting(load(folder)))
    wanted = Wanted.of(form, 2, {})
    project = open_project(finished)
    with pytest.raises(CheckFailedError, match=r"has [\d,]+ tokens, and the ledger says [\d,]+"):
        export_version(project, "default", version(finished), wanted, folder=tmp_path / "x")
    assert not (tmp_path / "x").exists()
