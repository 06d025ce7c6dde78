import ast
import importlib.util
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from samplemix_dagster.config.project import Config
from samplemix_dagster.core.diversity.metric import is_fitted, score_batch
from samplemix_dagster.storage.ask.relations.views import VIEWS
from samplemix_dagster.storage.corpus.shards import REASONS
from samplemix_dagster.tables import LEDGER, scores_table

ROOT = Path(__file__).parent.parent
IMAGES = ROOT / "docs" / "images"
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
PLACES = ("samplemix_dagster", "docs", "tests", "dbt", "examples", "benchmarks")


def module_at(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def generator() -> ModuleType:
    return module_at(ROOT / "docs" / "generate_configuration.py")


def links(page: Path) -> Iterator[str]:
    found = re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8"))
    return (link for link in found if "://" not in link)


def anchors(page: Path) -> set[str]:
    titles = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    plain = [re.sub(r"[^\w\- ]", "", title.lower()) for title in titles]
    return {title.replace(" ", "-") for title in plain}


def python_blocks(page: Path) -> list[str]:
    return re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)


def test_the_page_of_keys_is_up_to_date(generator: ModuleType) -> None:
    written = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    assert written == generator.configuration_page(), "run `python docs/generate_configuration.py`"


def test_every_key_is_on_the_page_of_keys(generator: ModuleType) -> None:
    written = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    keys = {key for _, model in generator.sections(Config, "") for key in model.model_fields}
    assert {key for key in keys if f"| `{key}` |" not in written} == set()


def test_every_key_has_a_meaning(generator: ModuleType) -> None:
    fields = [
        (path, key, field.description)
        for path, model in generator.sections(Config, "")
        for key, field in model.model_fields.items()
    ]
    assert [place for *place, meaning in fields if not meaning] == []


def test_every_dependency_has_its_line() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    extras = project["project"]["optional-dependencies"].values()
    stated = project["project"]["dependencies"] + project["dependency-groups"]["dev"]
    stated += [line for lines in extras for line in lines]
    names = {re.split(r"[<>=!~\[; ]", line)[0] for line in stated}
    page = (ROOT / "docs" / "decisions" / "dependencies.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `([^`]+)`", page, re.MULTILINE)) == names


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_internal_link_leads_somewhere(page: Path) -> None:
    targets = [
        page.parent / link.partition("#")[0] if link[0] != "#" else page for link in links(page)
    ]
    missing = [path for path in targets if not path.exists() and not path.is_relative_to(IMAGES)]
    assert missing == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_link_to_a_heading_finds_it(page: Path) -> None:
    split = [link.partition("#") for link in links(page) if "#" in link]
    places = [(page.parent / path if path else page, name) for path, _, name in split]
    assert [name for target, name in places if name not in anchors(target)] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_path_that_is_named_exists(page: Path) -> None:
    quoted = re.findall(r"`([\w./-]+)`", page.read_text(encoding="utf-8"))
    paths = [name for name in quoted if "/" in name and name.split("/")[0] in PLACES]
    assert [name for name in paths if not (ROOT / name).exists()] == []


def test_every_view_reason_and_column_is_on_the_page_of_outputs() -> None:
    page = (ROOT / "docs" / "outputs.md").read_text(encoding="utf-8")
    columns = [column.name for table in (LEDGER, scores_table()) for column in table.columns]
    wanted = {*VIEWS, *REASONS, *columns}
    assert {name for name in wanted if f"`{name}`" not in page} == set()


def test_the_documented_metrics_work() -> None:
    names: dict[str, type] = {}
    blocks = python_blocks(ROOT / "docs" / "architecture.md")
    exec("\n".join(blocks), names)
    plain, fitted = names["Vocabulary"](), names["FarFromTheMean"]()
    assert score_batch(plain, ["one two", ""]).shape == (2,)
    embeddings = np.eye(3, dtype=np.float16)
    fit = fitted.fit([fitted.summarise(embeddings[:2]), fitted.summarise(embeddings[2:])])
    assert is_fitted(fitted)
    assert score_batch(fitted, embeddings, fit).shape == (3,)


def test_the_example_metric_is_the_documented_one() -> None:
    example = module_at(ROOT / "examples" / "vocabulary_metric.py").Vocabulary()
    assert score_batch(example, ["a b a", "a b c"]).tolist() == [3 / 5, 4 / 5]


def test_the_licence_is_the_one_that_the_package_states() -> None:
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert "Apache License" in text
    assert "Version 2.0, January 2004" in text


def benches() -> list[str]:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    (names,) = re.findall(r"^BENCHES := (.+)$", makefile, flags=re.MULTILINE)
    return names.split()


@pytest.mark.parametrize("name", benches())
def test_make_bench_runs_what_needs_no_argument(name: str) -> None:
    script = ROOT / "benchmarks" / f"bench_{name}.py"
    tree = ast.parse(script.read_text(encoding="utf-8"))
    asked = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "add_argument"
    ]
    for call in asked:
        assert call.args[0].value.startswith("--")
        assert not any(word.arg == "required" for word in call.keywords)
