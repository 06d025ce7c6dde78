"""What a worker of a cluster is sent: an address that is the shard or nothing, and no text."""

import pickle
from pathlib import Path

import pytest

from samplemix_dagster.config.around import S3, Compute
from samplemix_dagster.engine.addresses.recipes import Recipes
from samplemix_dagster.engine.executors.choice import executor_of
from samplemix_dagster.engine.executors.executor import Executor, Lost, lost_in_words
from samplemix_dagster.engine.executors.here import Here
from samplemix_dagster.engine.executors.processes import Processes
from samplemix_dagster.engine.project import Project
from samplemix_dagster.engine.shards.missing import missing_shards
from samplemix_dagster.engine.shards.shard_rows import read_documents, rules_as_read
from samplemix_dagster.engine.shards.working.shard_work import (
    ShardPlace,
    ShardUnit,
    batches,
    on_worker,
    place_of,
    read_whole_shard,
    work_on_shard,
)
from samplemix_dagster.engine.shards.working.tasks import Chunk, work
from samplemix_dagster.errors import ConfigError, InputError
from samplemix_dagster.stages.diversity.words import WORDS, CountWords
from samplemix_dagster.stages.quality.loss.losses import Losses
from samplemix_dagster.storage.corpus.places.files import Files
from samplemix_dagster.storage.s3.bucket import Connection
from tests.projects import open_project

LOSSES = Losses(
    folder="m", digest="d", device="cpu", dtype="float32", context_tokens=8, overlap_tokens=4
)


def unit_of(project: Project, partition: str, known: frozenset[str] = frozenset()) -> ShardUnit:
    shard = project.shards(partition)[0]
    return ShardUnit(
        shard=0,
        place=place_of(project, shard),
        rules=rules_as_read(Recipes(project), shard.source, shard.digest),
        tasks={"words": CountWords()},
        known=known,
        language="detect",
    )


def test_a_shard_gives_what_its_chunks_give(finished: Path) -> None:
    project = open_project(finished)
    unit = unit_of(project, "news")
    documents = read_documents(Recipes(project), project.shards("news")[0])
    ids = []
    for chunk_ids, texts in batches(
        (identity, text.text)
        for identity, text in zip(unit_ids(project, "news"), documents, strict=True)
    ):
        ids += (
            work(Chunk(shard=0, doc_ids=chunk_ids, texts=texts, tasks={"words": CountWords()}))
            .tables["words"]
            .to_pylist()
        )
    found = work_on_shard(unit)
    assert found.tables["words"].to_pylist() == ids
    assert found.num_documents == len(ids) > 0
    assert read_whole_shard(unit).result.tables["words"].equals(found.tables["words"])


def unit_ids(project: Project, partition: str) -> list[str]:
    shard = project.shards(partition)[0]
    recipes = Recipes(project)
    assert not missing_shards(recipes, WORDS, partition)
    table = project.lake.read_table(recipes.feature_key(WORDS, shard), ["doc_id"])
    return list(table.column("doc_id").to_pylist())


def test_what_is_sent_holds_no_text_of_the_shard(finished: Path) -> None:
    project = open_project(finished)
    sent = pickle.dumps(unit_of(project, "news"))
    for document in read_documents(Recipes(project), project.shards("news")[0]):
        assert document.text[:40].encode() not in sent


def test_documents_that_have_rows_are_left_out(finished: Path) -> None:
    project = open_project(finished)
    ids = unit_ids(project, "news")
    found = work_on_shard(unit_of(project, "news", frozenset(ids[1:])))
    assert found.tables["words"].column("doc_id").to_pylist() == ids[:1]
    assert work_on_shard(unit_of(project, "news", frozenset(ids))).tables == {}


def test_a_file_that_is_not_the_one_that_was_scanned_is_no_shard(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    file.write_text('{"text": "one"}\n')
    seen = Files(tmp_path, Connection(S3())).look("a.jsonl")
    assert seen is not None
    place = ShardPlace(root=str(tmp_path), s3=S3(), path="a.jsonl", seen=seen, is_listed=False)
    assert place.open() == file
    file.write_text('{"text": "another"}\n')
    with pytest.raises(InputError, match=r"a\.jsonl changed while it was read"):
        place.open()
    file.unlink()
    with pytest.raises(InputError, match="where every machine finds them"):
        place.open()


def test_a_worker_that_is_shown_one_gpu_uses_that() -> None:
    from dataclasses import replace

    assert on_worker(replace(LOSSES, device="cuda:3")).device == "cuda"
    assert on_worker(LOSSES) is LOSSES
    assert on_worker(CountWords()) == CountWords()


@pytest.mark.parametrize(
    ("compute", "device", "expected"),
    [
        ({"workers": 1}, "cpu", Here),
        ({"workers": 2}, "cpu", Processes),
        ({"workers": 2}, "cuda", Here),
        ({"workers": 2, "executor": "local"}, "cpu", Processes),
        ({"workers": 2, "executor": "here"}, "cpu", Here),
        ({"workers": 1, "executor": "processes"}, "cpu", Processes),
        ({"workers": 2, "executor": "processes"}, "cuda", Processes),
    ],
)
def test_the_configuration_says_which_executor_it_is(
    compute: dict[str, object], device: str, expected: type[Executor], finished: Path
) -> None:
    assert type(executor_of(under(finished, compute), device)) is expected


def under(root: Path, compute: dict[str, object]) -> Project:
    project = open_project(root)
    section = Compute.model_validate(compute)
    return project.with_config(project.config.model_copy(update={"compute": section}))


def test_ray_that_is_not_installed_is_named(
    finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import importlib.util

    monkeypatch.setattr(importlib.util, "find_spec", dict[str, None]().get)
    with pytest.raises(ConfigError, match=r"pip install 'samplemix-dagster\[ray\]'"):
        executor_of(under(finished, {"executor": "ray"}))


def test_a_worker_on_ray_holds_a_gpu_where_the_device_is_one() -> None:
    pytest.importorskip("ray", reason="Ray is not installed")
    from samplemix_dagster.engine.executors.ray import RayExecutor

    compute = Compute(executor="ray", num_cpus=4, num_gpus=0.5)
    assert RayExecutor.of(compute, "cuda:1").needs.num_gpus == 0.5
    assert RayExecutor.of(compute, "cpu").needs.num_gpus == 0.0
    assert RayExecutor.of(compute, "cpu").needs.num_workers is None


@pytest.mark.parametrize("address", ["auto", "local", "ray://head:10001", "10.0.0.1:6379"])
def test_a_cluster_has_an_address(address: str) -> None:
    assert Compute(address=address).address == address


@pytest.mark.parametrize("address", ["head", "ray://", "http://head:8265", "a:b"])
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(ValueError, match="a Ray cluster is"):
        Compute(address=address)


def test_losses_are_said_in_words_and_none_are_not_said() -> None:
    assert lost_in_words({}) == ""
    assert lost_in_words(Lost(workers=1, repeated=0).facts) == (
        "1 worker was lost; 0 shards were done again elsewhere, and nothing is missing"
    )
    assert lost_in_words(Lost(workers=2, repeated=1).facts).startswith(
        "2 workers were lost; 1 shard was done again"
    )
