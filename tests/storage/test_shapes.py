"""JSON of the lake has a shape, and files that are replaced know themselves and their place."""

import json
from pathlib import Path
from typing import Any

import pytest

from samplemix_dagster.errors import DamagedError
from samplemix_dagster.storage.lake.contents.shapes import is_unsealed
from samplemix_dagster.storage.lake.lake import Lake

HEX = "0123456789abcdef" * 2
SHARD = {"path": "data/a.jsonl", "digest": HEX, "size": 3, "mtime_ns": 5}
WHOLE: dict[str, Any] = {
    "shards/a/current.json": {"partition": "a", "shards": [SHARD], "skipped": []},
    "state/scores/a.json": {"recipe": {"stage": "scores"}, "folder": "features/scores/x"},
    "state/refused-mixtures/m.json": {"version": "1", "checks": {"c": "w"}, "sentence": "s"},
    "fits/beta/current.json": {"version": "1", "recipe": {}},
    "mixtures/m/current.json": {"version": "1"},
    "reports/current.json": {"version": "1", "inputs": {"a": "b"}},
    "machines/m.json": {"device": "cpu", "dtype": "float32"},
    "models/digests.json": {HEX[:24]: HEX},
}
OTHER_SHAPES = ["[]", "{}", "null", '"x"', "3", '{"partition": "a"}', '{"version": 4}', "[" * 9999]


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path)


@pytest.mark.parametrize("key", WHOLE)
def test_what_was_written_is_read_without_its_digest(key: str, lake: Lake) -> None:
    lake.replace_json(key, WHOLE[key])
    assert lake.read_json(key) == WHOLE[key]
    assert "digest" in json.loads(lake.path(key).read_bytes())


@pytest.mark.parametrize("key", [key for key in WHOLE if key != "models/digests.json"])
@pytest.mark.parametrize("content", OTHER_SHAPES)
def test_json_of_another_shape_is_damage_that_names_the_file(
    key: str, content: str, lake: Lake
) -> None:
    lake.write_bytes(key, content.encode())
    with pytest.raises(DamagedError, match="is damaged") as caught:
        lake.read_json(key)
    assert caught.value.key == key


@pytest.mark.parametrize("key", WHOLE)
def test_no_flipped_bit_of_a_file_is_read_as_another_content(key: str, lake: Lake) -> None:
    lake.replace_json(key, WHOLE[key])
    path = lake.path(key)
    content = path.read_bytes()
    for place in range(len(content)):
        for bit in range(8):
            flipped = bytes([content[place] ^ (1 << bit)])
            path.write_bytes(content[:place] + flipped + content[place + 1 :])
            try:
                assert lake.read_json(key) == WHOLE[key]
            except DamagedError:
                continue


def test_a_file_in_the_place_of_its_sibling_is_damage(lake: Lake) -> None:
    for name in ("a", "b"):
        lake.replace_json(f"mixtures/{name}/current.json", {"version": name})
    lake.path("mixtures/b/current.json").replace(lake.path("mixtures/a/current.json"))
    with pytest.raises(DamagedError, match="its content and place give"):
        lake.read_json("mixtures/a/current.json")


def test_a_file_of_an_older_version_is_read_and_gets_its_digest_when_it_is_kept(
    lake: Lake,
) -> None:
    key = "shards/a/current.json"
    lake.write_bytes(key, json.dumps(WHOLE[key]).encode())
    assert is_unsealed(key, lake.read_json_as_is(key))
    lake.keep_json(key, lake.read_json(key))
    assert not is_unsealed(key, lake.read_json_as_is(key))
    assert lake.read_json(key) == WHOLE[key]


def test_the_folder_that_a_note_of_an_older_version_names_is_that_of_its_recipe(
    lake: Lake,
) -> None:
    key = "state/scores/a.json"
    lake.write_bytes(key, json.dumps(WHOLE[key]).encode())
    with pytest.raises(DamagedError, match="its recipe belongs to features/scores/"):
        lake.read_json(key)
