"""A project on S3 is the project on disk: same versions, same bytes, nothing done twice."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from samplemix_dagster.errors import ConfigError, InputError
from samplemix_dagster.export_formats.format import FilePlan
from samplemix_dagster.export_formats.wanted import Wanted
from samplemix_dagster.runs.plan.plan import Planner
from samplemix_dagster.runs.standing.status import project_status
from samplemix_dagster.runs.work.run import run_project
from samplemix_dagster.stages.export.exporting import export_version
from samplemix_dagster.storage.ask.query import query
from samplemix_dagster.storage.report.building import build_report
from samplemix_dagster.storage.report.published import report_reason
from samplemix_dagster.storage.s3.bucket import Bucket
from samplemix_dagster.trace.explain import explain_document
from samplemix_dagster.trace.versions import list_versions
from tests import s3_faults
from tests.engine.runs import ledgers, rows
from tests.projects import (
    finished_project,
    needs_encoder,
    open_project,
    read_settings,
    write_settings,
)
from tests.s3_faults import Fault, Proxy
from tests.s3_projects import corpus_bucket, on_s3

pytestmark = [needs_encoder, pytest.mark.slow]


@pytest.fixture(scope="module")
def patch() -> Iterator[pytest.MonkeyPatch]:
    with pytest.MonkeyPatch.context() as patch:
        s3_faults.use_credentials(patch)
        yield patch


@pytest.fixture(scope="module")
def proxy(patch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    with s3_faults.proxy_before(s3_faults.moto_server()) as made:
        yield made


@pytest.fixture(scope="module")
def bucket(proxy: Proxy) -> Bucket:
    """A bucket that holds the corpus of the finished project."""
    return corpus_bucket(proxy.url)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory, bucket: Bucket, proxy: Proxy) -> Path:
    """The project on S3 after one run, during which things went wrong. Nobody changes it."""
    made = on_s3(tmp_path_factory.mktemp("s3") / "project", bucket, proxy.url)
    proxy.faults = [
        Fault("GET", "/data/news", times=2, cut_answer=900),
        Fault("PUT", "/lake/features", times=2, cut_request=300),
        Fault("GET", "list-type", times=2, status=503, code="SlowDown"),
        Fault("PUT", "/lake/fits", times=1, status=500, code="InternalError"),
    ]
    run_project(open_project(made))
    assert not any(fault.times for fault in proxy.faults)
    return made


def test_a_corpus_has_the_same_versions_and_ledgers_as_on_disk(root: Path) -> None:
    assert ledgers(root) == ledgers(finished_project())


def test_a_second_run_does_nothing_and_asks_little(
    root: Path, proxy: Proxy, bucket: Bucket
) -> None:
    proxy.requests.clear()
    assert Planner(open_project(root)).plan().is_empty
    num_requests = len(proxy.requests)
    assert run_project(open_project(root)) == []
    assert proxy.count("GET", r"/data/[a-z]+/part") == 0
    # Three sources of two shards each, sixteen stages: it is folders that are listed.
    assert num_requests <= 60


def test_another_machine_sees_the_same(
    root: Path, tmp_path: Path, bucket: Bucket, proxy: Proxy
) -> None:
    elsewhere = on_s3(tmp_path / "elsewhere", bucket, proxy.url)
    assert Planner(open_project(elsewhere)).plan().is_empty
    sql = "select doc_id, source, row, quality, diversity, copies from ledger order by all"
    assert rows(elsewhere, sql) == rows(root, sql) == rows(finished_project(), sql)
    assert not list((elsewhere / ".samplemix").rglob("part-*"))  # no text is kept


def test_the_looks_of_a_person_work(root: Path) -> None:
    project = open_project(root)
    assert {entry["state"] for entry in project_status(project)["assets"]} == {"current"}
    assert {entry["name"] for entry in list_versions(project)} == {"default", "flat"}
    [first] = query(project.lake, "select * from documents order by doc_id limit 1").to_pylist()
    assert first["shard"].startswith("s3://")
    found = explain_document(project, first["doc_id"], None)
    here = explain_document(open_project(finished_project()), first["doc_id"], None)
    assert (found["text"], found["scores"]["quality"]) == (here["text"], here["scores"]["quality"])


@pytest.mark.parametrize(("form", "added"), [("parquet", 0), ("tokens", 1)])
def test_an_export_goes_to_s3_and_reads_back(
    form: str, added: int, root: Path, bucket: Bucket, tmp_path: Path
) -> None:
    project = open_project(root)
    version = str(project.lake.read_json("mixtures/flat/current.json")["version"])
    url = bucket.url(f"out-{form}/flat")
    wanted = Wanted.of(form, 2, {"eos": "end"})
    manifest = export_version(project, "flat", version, wanted, folder=url)
    names = [file["name"] for file in [*manifest["files"], *manifest.get("others", [])]]
    assert [entry.key for entry in bucket.below(f"out-{form}/flat/")] == sorted(
        f"out-{form}/flat/{name}" for name in [*names, "manifest.json"]
    )
    for name in names:
        bucket.fetch(f"out-{form}/flat/{name}", tmp_path / name)
    found = [
        draw.num_tokens - added for draw in wanted.form.read_back(tmp_path, FilePlan(num_files=2))
    ]
    assert sum(found) == manifest["num_tokens"]
    assert export_version(project, "flat", version, wanted, folder=url) == manifest
    with pytest.raises(InputError, match="holds another export"):
        export_version(project, "flat", version, replace(wanted, num_files=3), folder=url)


def test_the_export_of_a_run_stands_in_the_lake(root: Path, bucket: Bucket) -> None:
    local = {
        path.name: path.read_bytes()
        for path in (finished_project() / ".samplemix/lake/exports/default").rglob("part-*")
    }
    sent = {
        entry.key.rsplit("/", 1)[-1]: bucket.read(entry.key)
        for entry in bucket.below("lake/exports/default/")
        if "/part-" in entry.key
    }
    assert sent == local


def test_an_array_of_the_corpus_travels_once_for_all_exports_of_a_lake(
    bucket: Bucket, proxy: Proxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent, copied = list[str](), list[str]()
    upload, copy = Bucket.upload, Bucket.copy
    monkeypatch.setattr(
        Bucket, "upload", lambda self, path, key: (sent.append(key), upload(self, path, key))
    )
    monkeypatch.setattr(
        Bucket, "copy", lambda self, source, key: (copied.append(key), copy(self, source, key))
    )
    root = on_s3(tmp_path / "project", bucket, proxy.url, lake="pointing")
    settings = read_settings(root)
    settings["export"] = {"format": "megatron", "files": 2, "array": "corpus"}
    write_settings(root, settings)
    run_project(open_project(root))
    arrays = [key for key in sent if key.endswith(".bin")]
    assert len(arrays) == 1
    mixtures = len(settings["mixtures"])
    assert sum(key.endswith(".bin") for key in copied) == 2 * mixtures - 1
    found = {bucket.read(key) for key in [*arrays, *copied]}
    assert len(found) == 1
    assert not Planner(open_project(root)).plan().tasks


def test_the_report_is_published_to_s3(root: Path, bucket: Bucket) -> None:
    project = open_project(root)
    build_report(project.lake, project.home)
    assert report_reason(project.lake) == ""
    assert "lake/reports/mixture_totals.parquet" in {e.key for e in bucket.below("lake/reports/")}
    totals = query(project.lake, "select distinct mixture from mixture_totals").to_pylist()
    assert {row["mixture"] for row in totals} == {"default", "flat"}


def test_no_credential_is_in_any_file(root: Path, bucket: Bucket) -> None:
    secrets = (s3_faults.ACCESS_KEY.encode(), s3_faults.SECRET_KEY.encode())
    contents = [path.read_bytes() for path in root.rglob("*") if path.is_file()]
    contents += [bucket.read(entry.key) or b"" for entry in bucket.below("lake/")]
    assert len(contents) > 200
    assert not [content for content in contents for secret in secrets if secret in content]


def test_a_lake_elsewhere_than_folder_and_s3_is_refused(root: Path, tmp_path: Path) -> None:
    settings = read_settings(root)
    settings["lake"] = "gs://bucket/lake"
    write_settings(tmp_path, settings)
    with pytest.raises(ConfigError, match="neither a local folder nor s3://bucket/prefix"):
        open_project(tmp_path)


def test_a_vanished_source_is_a_problem_and_the_others_go_on(
    root: Path, tmp_path: Path, bucket: Bucket, proxy: Proxy
) -> None:
    made = on_s3(tmp_path / "project", bucket, proxy.url)
    settings = read_settings(made)
    settings["lake"] = "lake"
    write_settings(made, settings)
    proxy.faults = [Fault("GET", "/data/web/part-1", times=9, status=404, code="NoSuchKey")]
    plan = Planner(open_project(made)).plan(["raw_shards"])
    proxy.faults = []
    assert list(plan.problems) == ["web"]
    assert "data/web/part-1.jsonl.gz: the object is gone" in plan.problems["web"]
    assert {task.partition for task in plan.tasks} == {"news", "letters"}


def test_the_command_line_and_dagster_give_the_same(
    tmp_path: Path, bucket: Bucket, proxy: Proxy
) -> None:
    made = on_s3(tmp_path / "project", bucket, proxy.url)
    settings = read_settings(made)
    settings["lake"] = bucket.url("lake-of-dagster")
    write_settings(made, settings)

    def samplemix(*words: str) -> Any:
        done = subprocess.run(
            [sys.executable, "-m", "samplemix_dagster.cli", *words, "--json"],
            cwd=made,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
            capture_output=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr.decode()
        for secret in (s3_faults.ACCESS_KEY, s3_faults.SECRET_KEY):
            assert secret.encode() not in done.stdout + done.stderr
        return json.loads(done.stdout)

    assert samplemix("run")["succeeded"]
    assert ledgers(made) == ledgers(finished_project())
    assert samplemix("run")["stages"] == []
    assert samplemix("export", "flat", "--to", bucket.url("cli/flat"))["num_draws"] > 0
    assert bucket.head("cli/flat/manifest.json") is not None
