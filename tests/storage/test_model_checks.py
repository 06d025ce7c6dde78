"""What is wrong with a model's folder is said before anything is paid for, with file and cure."""

import json
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer, models

from samplemix_dagster.engine.shards.working.tasks import Chunk, work
from samplemix_dagster.errors import ModelError, SampleMixError
from samplemix_dagster.runs.plan.foresight import notes, refusals
from samplemix_dagster.runs.plan.plan import Planner
from samplemix_dagster.stages.quality.tokens import CountTokens
from samplemix_dagster.storage.models.checks import (
    as_model_errors,
    check_encoder,
    check_reference,
    check_tokenizer,
    encoder_limit,
)
from samplemix_dagster.storage.models.files import digest_tokenizer, resolve_model
from samplemix_dagster.storage.models.load import load_reference
from tests.projects import ENCODER, make_project, needs_encoder, open_project, reference_folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(reference_folder(), tmp_path / "m"))


def edit(file: Path, change: Callable[[Any], Any]) -> None:
    value = json.loads(file.read_text())
    file.write_text(json.dumps(change(value)))


def with_key(key: str, value: object) -> Callable[[Any], Any]:
    return lambda settings: {**settings, key: value}


def backtracking(tokenizer: Any) -> Any:
    rule = {"type": "Replace", "pattern": {"Regex": "^(a+)+$"}, "content": "x"}
    return {**tokenizer, "normalizer": rule}


def without_words(tokenizer: Any) -> Any:
    inner = {**tokenizer["model"], "vocab": {}, "merges": []}
    return {**tokenizer, "model": inner, "added_tokens": []}


def test_a_whole_folder_passes(folder: Path) -> None:
    check_reference(folder)


CHANGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "header longer than the file": (
        lambda m: (m / "model.safetensors").write_bytes(b"\xff\xff\xff\xff\xff\x00\x00\x00{}"),
        r"model\.safetensors is no whole safetensors file: its header would have",
    ),
    "empty weights": (
        lambda m: (m / "model.safetensors").write_bytes(b""),
        r"is no whole safetensors file",
    ),
    "weights cut off": (
        lambda m: (m / "model.safetensors").write_bytes(
            (m / "model.safetensors").read_bytes()[:-100]
        ),
        r"it ends before its last tensor does",
    ),
    "a header that is no JSON": (
        lambda m: (m / "model.safetensors").write_bytes(struct.pack("<Q", 4) + b"\xff{}}" + b"x"),
        r"its header cannot be read",
    ),
    "a header of another shape": (
        lambda m: (m / "model.safetensors").write_bytes(
            struct.pack("<Q", 22) + b'{"w": {"shape": [-1]}}' + b"x"
        ),
        r"its header cannot be read",
    ),
    "no settings": (lambda m: (m / "config.json").unlink(), r"config\.json is not there"),
    "settings that are a list": (
        lambda m: (m / "config.json").write_text("[]"),
        r"config\.json holds no settings",
    ),
    "settings that are no JSON": (
        lambda m: (m / "config.json").write_text("{"),
        r"config\.json cannot be read as JSON",
    ),
    "settings nested without end": (
        lambda m: (m / "config.json").write_text("[" * 100_000),
        r"config\.json cannot be read as JSON",
    ),
    "a context of 0": (
        lambda m: edit(m / "config.json", with_key("max_position_embeddings", 0)),
        r"config\.json: the model reads 0 tokens at once",
    ),
    "layers without end": (
        lambda m: edit(m / "config.json", with_key("num_hidden_layers", 10**9)),
        r"config\.json: the model would have 1,000,000,000 layers",
    ),
    "a vocabulary without end": (
        lambda m: edit(m / "config.json", with_key("vocab_size", 10**12)),
        r"config\.json: an embedding of 1,000,000,000,000 x 32",
    ),
    "a tokenizer of another model": (
        lambda m: edit(m / "config.json", with_key("vocab_size", 300)),
        r"the tokenizer has token \d+, and the model knows 300",
    ),
    "tokenizer settings that are a list": (
        lambda m: (m / "tokenizer_config.json").write_text("[]"),
        r"tokenizer_config\.json holds no settings",
    ),
    "a start token that is a number": (
        lambda m: edit(m / "tokenizer_config.json", with_key("bos_token", 5)),
        r"tokenizer_config\.json: bos_token is a word, not 5",
    ),
    "a normalizer that backtracks": (
        lambda m: edit(m / "tokenizer.json", backtracking),
        r"the tokenizer failed",
    ),
    "a vocabulary without words": (
        lambda m: edit(m / "tokenizer.json", without_words),
        r"its vocabulary is empty",
    ),
    "a tokenizer that is no JSON": (
        lambda m: (m / "tokenizer.json").write_text("{"),
        r"holds no fast tokenizer that can be read",
    ),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_broken_folder_is_named_with_its_file(name: str, folder: Path) -> None:
    change, words = CHANGES[name]
    change(folder)
    with pytest.raises(ModelError, match=words):
        check_reference(folder)


SEEN_BEFORE_ALONE = {
    "layers without end",  # loading would not end
    "a vocabulary without end",
    "a normalizer that backtracks",  # these load, and fail on a text
    "a tokenizer of another model",
    "a vocabulary without words",
}


@pytest.mark.parametrize("name", sorted(CHANGES.keys() - SEEN_BEFORE_ALONE))
def test_loading_a_broken_folder_is_an_error_of_ours_too(name: str, folder: Path) -> None:
    change, _ = CHANGES[name]
    change(folder)
    with pytest.raises(ModelError):
        load_reference(folder, "cpu", "float32")


def test_a_panic_on_a_text_is_an_error_that_names_the_document(folder: Path) -> None:
    edit(folder / "tokenizer.json", backtracking)
    digest = digest_tokenizer(folder)
    task = CountTokens(tokenizer=str(folder), digest=digest, library="tokenizers")
    chunk = Chunk(
        shard=0,
        doc_ids=["0" * 32, "1" * 32],
        texts=["the harbour", "a" * 40 + "! the harbour"],
        tasks={"tokens": task},
    )
    with pytest.raises(ModelError, match=r"the tokenizer breaks on document 1{32}"):
        work(chunk)


def test_an_interruption_is_not_taken_for_a_panic() -> None:
    with pytest.raises(KeyboardInterrupt), as_model_errors("x"):
        raise KeyboardInterrupt


def test_a_tokenizer_file_is_looked_at_alone(tmp_path: Path) -> None:
    Tokenizer(models.BPE()).save(str(tmp_path / "tokenizer.json"))
    with pytest.raises(ModelError, match="its vocabulary is empty"):
        check_tokenizer(tmp_path / "tokenizer.json")


@needs_encoder
def test_a_whole_encoder_passes_and_its_limit_is_known(tmp_path: Path) -> None:
    encoder = resolve_model(ENCODER, None, tmp_path)
    check_encoder(encoder)
    assert encoder_limit(encoder) == 256


@needs_encoder
@pytest.mark.parametrize(
    ("content", "words"),
    [("{}", "no list of modules"), ("[1]", "no list of modules"), ("{", "cannot be read as JSON")],
)
def test_an_encoder_whose_modules_are_broken_is_named(
    tmp_path: Path, content: str, words: str
) -> None:
    encoder = Path(shutil.copytree(resolve_model(ENCODER, None, tmp_path), tmp_path / "encoder"))
    (encoder / "modules.json").write_text(content)
    with pytest.raises(ModelError, match=words):
        check_encoder(encoder)


@needs_encoder
def test_a_plan_names_broken_models_and_a_limit_that_is_passed(tmp_path: Path) -> None:
    (tmp_path / "reference").mkdir()
    shutil.copytree(reference_folder(), tmp_path / "reference", dirs_exist_ok=True)
    shutil.copytree(resolve_model(ENCODER, None, tmp_path), tmp_path / "encoder")
    make_project(tmp_path, tmp_path / "reference")
    config = (tmp_path / "samplemix.yaml").read_text()
    changed = config.replace(ENCODER, "encoder").replace("max_tokens: 32", "max_tokens: 1000")
    (tmp_path / "samplemix.yaml").write_text(changed)
    planner = Planner(open_project(tmp_path))
    plan = planner.plan()
    assert refusals(planner.recipes, plan) == {}
    assert [note.sentence for note in notes(planner.recipes, plan)] == [
        "embeddings: max_tokens is 1000, and this encoder reads 256 tokens: 256 are read"
    ]
    (tmp_path / "reference" / "config.json").write_text("[]")
    (tmp_path / "encoder" / "modules.json").write_text("[]]")
    found = refusals(planner.recipes, plan)
    assert set(found) == {"perplexity", "embeddings"}
    assert all(isinstance(words, str) and ".json" in words for words in found.values())


def test_every_error_about_a_model_is_one_of_ours() -> None:
    assert issubclass(ModelError, SampleMixError)
