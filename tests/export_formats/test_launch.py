"""What is typed for a trainer: it parses, and names every file of the export where it lies."""

import ast
import json
import shlex

import pytest
import yaml

from samplemix_dagster.export_formats.launch import Fragment, Launch
from samplemix_dagster.export_formats.table import FORMATS

FOLDER = '/data/it\'s "new" $HOME/f\u00fcr'


def fragments(form: str, num_files: int = 2) -> tuple[Fragment, ...]:
    is_text = FORMATS[form].unit == "text"
    files = [FORMATS[form].file_names(number)[0] for number in range(num_files)]
    ids = {} if is_text else {"vocabulary_size": 300, "bytes_of_an_id": 2, "eos_id": 7}
    launch = Launch(folder=FOLDER, files=files, sequence=128, **ids)
    return FORMATS[form].fragments(launch)


def strings(one: Fragment) -> list[str]:
    """Return every string of a fragment, as its reader takes it."""
    if one.language == "python":
        nodes = ast.walk(ast.parse(one.text))
        return [n.value for n in nodes if isinstance(n, ast.Constant) and isinstance(n.value, str)]
    if one.language == "yaml":
        return leaves(yaml.safe_load(one.text))
    return shlex.split(one.text)


def leaves(value: object) -> list[str]:
    if isinstance(value, dict):
        return [leaf for inner in value.values() for leaf in leaves(inner)]
    if isinstance(value, list):
        return [leaf for inner in value for leaf in leaves(inner)]
    return [value] if isinstance(value, str) else []


@pytest.mark.parametrize("form", FORMATS)
def test_each_format_has_one_that_parses_and_finds_the_files(form: str) -> None:
    found = fragments(form)
    assert found
    for one in found:
        assert one.language in {"sh", "yaml", "python"}
        assert any(FOLDER in word for word in strings(one)), one.text


@pytest.mark.parametrize("form", [name for name, one in FORMATS.items() if one.readings])
def test_what_shuffles_says_so_and_no_other_does(form: str) -> None:
    is_ordered = [not one.order for one in fragments(form)]
    # A library beside a trainer may keep the order that the trainer does not.
    assert all(is_ordered) or not is_ordered[-1]
    if not all(reading.keeps_order for reading in FORMATS[form].readings):
        assert not all(is_ordered)


def test_a_sequence_and_the_tokenizers_marks_are_those_of_the_export() -> None:
    [olmo] = fragments("olmo")
    assert "sequence_length=128" in olmo.text
    assert "TokenizerConfig(300, eos_token_id=7, pad_token_id=7)" in olmo.text
    assert "NumpyDatasetDType.uint16" in olmo.text
    assert "shuffle = False" in olmo.text
    assert "block_size=129" in fragments("litdata")[0].text
    [loader, _] = fragments("mds")
    assert yaml.safe_load(loader.text)["train_loader"]["dataset"]["eos_token_id"] == 7
    assert json.dumps(f"{FOLDER}/part-00001.pbin", ensure_ascii=False) in (
        fragments("modalities")[0].text
    )
