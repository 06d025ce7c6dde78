"""Whatever a configuration's text is: a configuration, or an error with its line, in short time."""

import json
import random
from pathlib import Path

import jsonschema
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from samplemix_dagster.config.project import Config
from samplemix_dagster.config.text.reading import config_schema, load_config, parse_config
from samplemix_dagster.errors import ConfigError

GOOD = """\
corpus:
  sources:
    web: {path: data/*.jsonl, metadata: [url]}
    book: {path: [a/*, "b c/*"], parts: 3}
references: {main: {bootstrap: {tokens: 5k, layers: 1}}}
diversity: {weights: {cluster: 1, ngram: 2}, refit: {drift: 0.2}}
mixtures:
  default: {budget_tokens: 1.5k, balance: {quality: 1}, shares: {web: 0.5, book: 0.5}}
hooks: {failure: {command: [touch, done]}}
"""
LAUGHS = "a: &a [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{b}: &{b} [*{a},*{a},*{a},*{a},*{a},*{a},*{a},*{a},*{a},*{a}]\n"
    for a, b in zip("abcdefgh", "bcdefghi", strict=True)
)


def refused(text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        parse_config(text)
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (LAUGHS, ":5: more than 100,000 values stand here"),
        ("corpus: &a [*a]\n", ":1: this value contains itself"),
        ("corpus: &a {x: {y: *a}}\n", ":1: this value contains itself"),
        ("a:\n  " + "[" * 5000, ":2: values inside values, 40 deep"),
        ("a:\n  " + "{b: " * 60 + "}" * 60, ":2: values inside values, 40 deep"),
        ("".join(" " * n + f"k{n}:\n" for n in range(60)), ":41: values inside values"),
        ("corpus: !!python/object/apply:os.system [ls]\n", ":1: could not determine a constructor"),
        ("corpus: 1\nmixtures: !!int abc\n", ":2: this value cannot be read"),
        ('corpus: 1\nmixtures: !!binary "?"\n', ":2: "),
        ("corpus: 2024-13-45\n", ":1: this value cannot be read: month must be in 1..12"),
        ("corpus: 1\n? [a, b]\n: 2\n", ":2: a key is a word"),
        ("corpus: 1\n? {a: b}\n: 2\n", ":2: a key is a word"),
        ("corpus: 1\n\x00", ":2: this is not YAML: the character '\\x00' cannot stand in it"),
        ("corpus: 1\n\tx: 2\n", ":2: this is not YAML"),
        ("corpus: *nothing\n", ":1: this is not YAML: found undefined alias"),
        ("---\na: 1\n---\nb: 2\n", ":3: this is not YAML: but found another document"),
        ("corpus: 1\ncorpus: 2\n", ":2: 'corpus' is there twice"),
        ("%YAML 9.9\n---\na: 1\n", ":1: this is not YAML: found incompatible YAML"),
    ],
)
def test_a_slip_is_refused_with_its_line(text: str, words: str) -> None:
    assert words in refused(text)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("budget_tokens: " + "9" * 400, "a size is at most 1e+18"),
        ("budget_tokens: " + "9" * 5000, ":6: "),
        ("budget_tokens: 1e400", "a size is a number"),
        ("budget_tokens: .inf", "a size is at most 1e+18"),
        ("budget_tokens: .nan", ":6: mixtures.default.budget_tokens"),
        ("budget_tokens: -5", ":6: mixtures.default.budget_tokens"),
        ("budget_tokens: 0x10000000000000000000000", "a size is at most 1e+18"),
        ("{budget_tokens: 1, seed: -1}", ":6: mixtures.default"),
    ],
)
def test_a_number_that_no_count_can_be_is_refused(line: str, words: str) -> None:
    body = line if line.startswith("{") else f"{{{line}}}"
    text = f"corpus:\n  sources:\n    web:\n      path: x\nmixtures:\n  default: {body}\n"
    assert words in refused(text)


def test_a_seed_that_no_generator_takes_is_refused() -> None:
    text = GOOD + "quality: {overlap_tokens: 1}\n"
    text = text.replace("refit:", "clusters: {seed: 4294967296}, refit:")
    assert ":6: diversity.clusters.seed: Input should be less than 4294967296" in refused(text)


@pytest.mark.parametrize("name", ["no", "on", "yes", "null", "true", "y", "off", "NO"])
def test_a_key_is_the_word_that_was_written(name: str) -> None:
    text = (
        f"corpus:\n  sources:\n    {name}: {{path: x}}\nmixtures: {{{name}: {{budget_tokens: 1}}}}"
    )
    config = parse_config(text)
    assert list(config.corpus.sources) == [name]
    assert list(config.mixtures) == [name]


def test_shared_parts_of_a_configuration_may_be_written_once() -> None:
    text = GOOD.replace("{path: data/*.jsonl, metadata: [url]}", "&x {path: data/*.jsonl}")
    text = text.replace('{path: [a/*, "b c/*"], parts: 3}', "{<<: *x, text: body}")
    book = parse_config(text).corpus.sources["book"]
    assert (book.path, book.text) == ("data/*.jsonl", "body")


def test_bytes_that_are_no_utf8_are_refused_with_their_line(tmp_path: Path) -> None:
    path = tmp_path / "samplemix.yaml"
    path.write_bytes(b"corpus: 1\nmixtures: \xff\n")
    with pytest.raises(ConfigError, match=r"samplemix.yaml:2: this is not UTF-8: byte 0xff"):
        load_config(path)


def test_a_mark_at_the_start_of_the_file_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "samplemix.yaml"
    path.write_text(GOOD, encoding="utf-8-sig")
    assert load_config(path) == parse_config(GOOD)


@pytest.mark.parametrize("kind", ["folder", "huge"])
def test_what_cannot_be_a_configuration_is_said_at_once(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "samplemix.yaml"
    if kind == "folder":
        path.mkdir()
    else:
        path.write_bytes(b"a" * 2_000_000)
    with pytest.raises(ConfigError, match="is a folder" if kind == "folder" else "at most 1 MiB"):
        load_config(path)


def answer(text: str) -> str:
    """What the configuration's error says; nothing where it is read."""
    try:
        parse_config(text)
    except ConfigError as error:
        return str(error)
    return ""


def mutated(luck: random.Random) -> str:
    text = GOOD
    for _ in range(luck.randrange(1, 4)):
        place = luck.randrange(len(text))
        piece = luck.choice(
            ["", "[", "}", "- ", ": ", "&a ", "*a ", "\n", "\t", "'", '"', "#", "!!set ", "? ",
             "\x85", "é", "|", ">", "%", "@", "`", "~", "1e9", "0o7", "!!timestamp ", "=", "<<: "]
        )  # fmt: skip
        text = text[:place] + piece + text[place + luck.randrange(3) :]
    return text


def test_a_thousand_mutations_give_a_configuration_or_an_error_with_a_place() -> None:
    answers = [answer(mutated(random.Random(number))) for number in range(1000)]
    refusals = [words for words in answers if words]
    assert 300 < len(refusals) < 980
    assert all(words.startswith("samplemix.yaml") for words in refusals)


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    assert not (words := answer(text)) or words.startswith("samplemix.yaml")


def test_the_schema_for_editors_takes_what_is_taken_and_refuses_a_slip() -> None:
    schema = json.loads(json.dumps(config_schema()))
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    assert validator.is_valid(yaml.safe_load(GOOD))
    assert not validator.is_valid(yaml.safe_load(GOOD.replace("layers", "layres")))
    assert not validator.is_valid(yaml.safe_load(GOOD.replace("5k", "five")))
    assert set(schema["properties"]) == set(Config.model_fields)
