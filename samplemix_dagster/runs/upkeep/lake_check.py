"""Read every file of the lake, so that damage is known before anything is made from it.

Tables and files of fits, ledgers, exports and reports are compared to the last byte, JSON with its
shape and digest. What an older version wrote without digests is compared with what it came from.
The lake notes what is damaged, and ``repair.py`` removes it.
"""

import contextlib
from collections.abc import Callable
from functools import partial
from typing import Any

import pyarrow as pa

from samplemix_dagster.core.hashing import doc_id
from samplemix_dagster.engine.addresses.recipes import Recipes
from samplemix_dagster.engine.fitting.fit_files import check_fit
from samplemix_dagster.engine.foundation.documents import DOCUMENTS
from samplemix_dagster.engine.placed_shard import PlacedShard
from samplemix_dagster.engine.project import Project
from samplemix_dagster.engine.shards.reading import compare_documents
from samplemix_dagster.engine.stages import NotFittedError, Stage
from samplemix_dagster.errors import DamagedError, InputError, SampleMixError
from samplemix_dagster.stages.mixture.published.version_files import (
    export_problems,
    ledger_problems,
    mend_manifest,
)
from samplemix_dagster.stages.stepping.steps import build_steps
from samplemix_dagster.storage.corpus.manifest import manifest_key, read_manifest, recorded_files
from samplemix_dagster.storage.corpus.shards import Document, read_shard
from samplemix_dagster.storage.lake import keys
from samplemix_dagster.storage.lake.contents.shapes import is_unsealed, kind_of
from samplemix_dagster.storage.lake.table_files import is_named
from samplemix_dagster.storage.lake.whole_files import digest_file

FOLDER_DEPTH = {"fits": 3, "mixtures": 3, "exports": 4}
"""Parts of the key of a folder that is whole or not at all, by where it stands."""


def check_lake(project: Project) -> int:
    """Read every file of the lake, so that damage is known; return how many are good.

    What is damaged is noted by the lake, and the next run makes it again. Of a lake on S3, the
    objects are checked, not this machine's copies of them.
    """
    project.lake.checked.clear()
    with project.lake.afresh():
        return _LakeCheck(project).run()


class _LakeCheck:
    """One reading of everything."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self.lake = project.lake
        files = (file.key for file in self.lake.walk())
        self.keys = sorted(k for k in files if not any(p.startswith(".") for p in k.split("/")))
        self.good = 0

    def run(self) -> int:
        """Return how many files are what was written."""
        for key in self.keys:
            if key.endswith(".parquet") and key.startswith(keys.TABLES_OF_SHARDS):
                self._try(partial(self._sound, self.lake.check_table, key))
            elif kind_of(key) is not None:
                self._try(partial(self._sound, self.lake.read_json, key))
        for folder in self._folders("fits"):
            self._try(partial(self._fit, folder))
        for folder in self._folders("mixtures"):
            self._try(partial(self._version, folder))
        for folder in self._folders("exports"):
            self._try(partial(self._export, folder))
        self._try(self._reports)
        self._try(self._models)
        self._try(self._lists)
        self._try(self._shards)
        self._try(self._notes)
        self._seal()
        return self.good

    def _try(self, look: Callable[[], None]) -> None:
        """Look at something; what is damaged is noted by the lake."""
        with contextlib.suppress(DamagedError, NotFittedError, InputError):
            look()

    def _sound(self, read: Callable[[str], object], key: str) -> None:
        """Read a file, and count it if it can be read."""
        read(key)
        self.good += 1

    def _folders(self, head: str) -> list[str]:
        """Return the folders below a head that are whole or not at all, also what is left of any.

        A folder without its marker is the rest of one: the marker is noted as damaged.
        """
        depth = FOLDER_DEPTH[head]
        parts = [key.split("/") for key in self.keys if key.startswith(f"{head}/")]
        return sorted({"/".join(p[:depth]) for p in parts if len(p) > depth})

    def _fit(self, folder: str) -> None:
        check_fit(self.lake, folder)
        self.good += len(self.lake.read_json(keys.fit_note(folder)).get("files", {}))

    def _version(self, folder: str) -> None:
        manifest = self.lake.read_json(keys.manifest_in(folder))
        if manifest is None:
            if f"{folder}/{keys.MANIFEST_DAMAGED}" in self.keys:
                return  # it was given up, and that was said
            raise self.lake.damage(keys.manifest_in(folder), "it is gone")
        if "ledger" not in manifest or "version" not in manifest:
            return  # an older form, which nothing traces
        if not self.lake.exists(keys.manifest_copy_in(folder)):
            mend_manifest(self.lake, folder)
        problems = ledger_problems(self.lake, manifest)
        for key, problem in problems.items():
            self.lake.damage(key, f"it {problem}")
        self.good += len(manifest["ledger"]) - len(problems)

    def _export(self, folder: str) -> None:
        manifest = self.lake.read_json(keys.manifest_in(folder))
        if manifest is None:
            raise self.lake.damage(keys.manifest_in(folder), "it is gone")
        problems = export_problems(self.lake, folder, manifest)
        for file, problem in problems.items():
            self.lake.damage(f"{folder}/{file}", f"it {problem}")
        self.good += len(manifest["files"]) - len(problems)

    def _reports(self) -> None:
        """Compare what dbt made with its digests; without any, the report is built again."""
        stated = self.lake.read_json(keys.CURRENT_REPORTS)
        digests = (stated or {}).get("files")
        if digests is None:
            self.lake.remove(keys.CURRENT_REPORTS)
            return
        for key in self.keys:
            if not (key.startswith(f"{keys.REPORTS}/") and key.endswith(".parquet")):
                continue
            model = key.split("/")[1].removesuffix(".parquet")
            if model not in digests:
                self.lake.damage(key, "it is no model of the report")
            elif self.lake.digest(key) != digests[model]:
                self.lake.damage(key, "its bytes are not those that were written")
            else:
                self.good += 1

    # -- what an older version wrote ---------------------------------------------------------------

    def _shards(self) -> None:
        """Compare tables that do not say where they belong with the shards that are there."""
        recipes = Recipes(self.project)
        every = [stage for step in build_steps(self.project) for stage in step.stages]
        for shard in self.project.readable_shards():
            self._try(partial(self._documents, recipes, shard))
            for stage in every:
                self._try(partial(self._rows, recipes, stage, shard))

    def _documents(self, recipes: Recipes, shard: PlacedShard) -> None:
        key = recipes.feature_key(DOCUMENTS, shard)
        rejections = recipes.rejections_key(shard)
        if not (self.lake.exists(key) and self.lake.exists(rejections)):
            return
        read = [self.lake.read_table(one) for one in (key, rejections)]
        if all(map(is_named, read)):
            return
        ids, rejected = [], []
        for row in read_shard(self.project.open_shard(shard.shard), shard.rules):
            if isinstance(row, Document):
                ids.append((row.row, doc_id(row.text)))
            else:
                rejected.append((row.row, row.reason))
        if _pairs(read[0], "row", "doc_id") != ids:
            raise self.lake.damage(key, f"{shard.shard.path} has other documents")
        if _pairs(read[1], "row", "reason") != rejected:
            raise self.lake.damage(rejections, f"{shard.shard.path} has other rejected rows")

    def _rows(self, recipes: Recipes, stage: Stage, shard: PlacedShard) -> None:
        key = recipes.feature_key(stage, shard)
        documents = recipes.feature_key(DOCUMENTS, shard)
        is_there = self.lake.exists(key) and self.lake.exists(documents)
        if stage.lists_documents or not is_there:
            return
        if not is_named(self.lake.read_table(key, ["doc_id"])):
            compare_documents(recipes, stage, shard)

    def _lists(self) -> None:
        """Compare the digests in lists of shards that have none of their own with the files."""
        for partition in self.project.partitions:
            key = manifest_key(partition)
            if is_unsealed(key, self.lake.read_json_as_is(key)):
                self._try(partial(self._list, partition))

    def _list(self, partition: str) -> None:
        files = self.project.files
        for path, shard in recorded_files(read_manifest(self.lake, partition)).items():
            is_same = files.look(path) == shard.seen
            if is_same and digest_file(files.at(path)) != shard.bytes_digest:
                raise self.lake.damage(manifest_key(partition), f"{path} has another digest")

    def _models(self) -> None:
        """Digest models again where the digests that were noted have none of their own."""
        key = keys.MODEL_DIGESTS
        if not is_unsealed(key, self.lake.read_json_as_is(key)):
            return
        before = self.lake.read_json(key)
        self.lake.remove(key)
        recipes = Recipes(self.project)
        for name in self.project.config.references:
            with contextlib.suppress(SampleMixError, NotFittedError):
                recipes.reference_digest(name)
        with contextlib.suppress(SampleMixError):
            _ = recipes.encoder_digest
        after = self.lake.read_json(key, {})
        if any(before.get(mark, digest) != digest for mark, digest in after.items()):
            self.lake.damage(key, "models have other digests")

    def _seal(self) -> None:
        """Give files of an older version the digest that they lack: they were compared by now."""
        for key in self.keys:
            if key in self.lake.damaged or kind_of(key) is None:
                continue
            if is_unsealed(key, self.lake.read_json_as_is(key)):
                self.lake.keep_json(key, self.lake.read_json(key))

    def _notes(self) -> None:
        """Compare what stages have noted of their tables with the recipes in use."""
        recipes = Recipes(self.project)
        for step in build_steps(self.project):
            for stage in step.stages:
                for source in self.project.config.corpus.sources:
                    self._try(partial(self._note, recipes, stage, source))

    def _note(self, recipes: Recipes, stage: Stage, source: str) -> None:
        key = keys.done_note(stage.name, source)
        stated = self.lake.read_json(key)
        folder = recipes.feature_folder(stage, source)
        if stated is None or stated["folder"] == folder:
            return
        there = self.lake.names(folder)
        shards = [s for s in self.project.readable_shards() if s.source == source]
        if shards and all(f"{shard.digest}.parquet" in there for shard in shards):
            self.lake.damage(key, "it names other tables than those in use")


def _pairs(table: pa.Table, first: str, second: str) -> list[tuple[Any, Any]]:
    """Return two columns of a table, row by row."""
    columns = (table.column(name).to_pylist() for name in (first, second))
    return list(zip(*columns, strict=True))
