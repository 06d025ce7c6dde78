"""The configuration: what may be written, and that an error names line, key and way out."""

import textwrap
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from samplemix_dagster.config.corpus import MAX_PARTITIONS, Corpus
from samplemix_dagster.config.exclude import Exclude
from samplemix_dagster.config.project import Config
from samplemix_dagster.config.scoring.scores import Band
from samplemix_dagster.config.text.reading import load_config, parse_config
from samplemix_dagster.errors import ConfigError
from samplemix_dagster.section import parse_size

# The example of the design, word for word.
CONTRACT = """\
corpus:
  sources:
    wikipedia: {path: data/wikipedia/*.jsonl.gz}            # jsonl, jsonl.gz, parquet, txt, csv
    web: {path: s3://bucket/web/**/*.parquet, text: content}
  duplicates: drop
lake: .samplemix/lake                                       # or s3://bucket/prefix
tokenizer: {reference: main}                                # what counts the budget
references:
  main: {model: org/name, revision: <commit>}               # hub or local folder
  small: {bootstrap: {tokens: 5M, layers: 4, width: 256}}   # trained here, on a sample
encoder: {model: sentence-transformers/all-MiniLM-L6-v2}   # hub name, folder, or package:
quality: {reference: main, direction: low, calibrate_by: language}
diversity: {weights: {cluster: 1, ngram: 1, topic: 1}, refit: {drift: 0.1}}
mixtures:
  default: {strategy: beta, budget_tokens: 10B, balance: {quality: 1.0, diversity: 1.0}, max_copies: 4, shares: free, seed: 0}
  proportional: {strategy: proportional, budget_tokens: 10B}
schedule: {rescore: "0 2 * * *"}
compute: {device: auto, workers: auto, executor: local}
"""  # noqa: E501
SMALL = """\
corpus:
  sources:
    web: {path: data/*}
mixtures:
  default: {budget_tokens: 1k}
"""


def refused(text: str) -> str:
    """What the configuration's error says."""
    with pytest.raises(ConfigError) as caught:
        parse_config(textwrap.dedent(text))
    return str(caught.value)


def with_lines(*lines: str) -> str:
    return SMALL + "\n".join(lines) + "\n"


# -- what may be written ---------------------------------------------------------------------------


def test_the_example_of_the_design_is_read() -> None:
    config = parse_config(CONTRACT)
    assert list(config.corpus.sources) == ["wikipedia", "web"]
    assert config.corpus.sources["web"].text == "content"
    assert config.references["small"].bootstrap is not None
    assert config.references["small"].bootstrap.tokens == 5_000_000
    assert config.mixtures["default"].budget_tokens == 10**10
    assert config.mixtures["proportional"].strategy == "proportional"


def test_a_corpus_and_a_mixture_are_enough() -> None:
    config = parse_config(SMALL)
    assert config.quality.reference in config.references
    assert config.tokenizer.reference in config.references
    assert config.mixtures["default"].budget_tokens == 1000


def test_every_field_says_what_it_is() -> None:
    pending, seen = [Config], []
    while pending:
        model = pending.pop()
        seen.append(model)
        for name, field in model.model_fields.items():
            assert field.description, f"{model.__name__}.{name} has no description"
            annotations = [field.annotation, *getattr(field.annotation, "__args__", ())]
            pending += [
                a for a in annotations if isinstance(a, type) and hasattr(a, "model_fields")
            ]
    assert Corpus in seen


def test_a_direction_may_be_a_band() -> None:
    config = parse_config(with_lines("quality: {direction: {centre: -0.5, width: 1}}"))
    assert config.quality.direction == Band(centre=-0.5, width=1.0)


@pytest.mark.parametrize("policy", ["always", "never"])
def test_a_refit_may_be_a_word(policy: str) -> None:
    assert parse_config(with_lines(f"diversity: {{refit: {policy}}}")).diversity.refit == policy


def test_a_path_may_be_a_list() -> None:
    text = SMALL.replace("data/*", "[a/*, b/*]")
    assert parse_config(text).corpus.sources["web"].paths == ["a/*", "b/*"]


def test_a_configuration_cannot_be_changed_after_it_was_read() -> None:
    config = parse_config(SMALL)
    with pytest.raises(ValueError, match="frozen"):
        config.corpus.duplicates = "keep"  # type: ignore[misc]


# -- sizes -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("10B", 10**10),
        ("1.5k", 1500),
        ("500M", 5 * 10**8),
        ("2T", 2 * 10**12),
        ("3g", 3 * 10**9),
        (" 7 ", 7),
        ("1_000k", 10**6),
        ("0.1k", 100),
        (12, 12),
        (2.0, 2),
    ],
)
def test_a_size_is_a_number_with_a_letter(written: object, expected: int) -> None:
    assert parse_size(written) == expected


@given(number=st.integers(0, 999), unit=st.sampled_from("kMBT"))
def test_a_size_in_capitals_is_the_size_in_small_letters(number: int, unit: str) -> None:
    assert parse_size(f"{number}{unit}") == parse_size(f"{number} {unit.lower()}")


@pytest.mark.parametrize("written", ["ten", "1.k", "-5k", "1kk", "10 %", "", "k", "1,5k", "0x10"])
def test_refuses_what_is_no_size(written: str) -> None:
    assert f"not {written!r}" in refused(SMALL.replace("1k", f'"{written}"'))


@pytest.mark.parametrize("written", ["0", "1.5", "-1"])
def test_refuses_a_budget_that_is_no_positive_whole_number(written: str) -> None:
    assert "samplemix.yaml:5: mixtures.default.budget_tokens: " in refused(
        SMALL.replace("1k", written)
    )


def in_steps(written: str) -> str:
    return SMALL.replace("budget_tokens: 1k", f"budget: {written}")


def test_a_budget_in_steps_is_the_same_recipe_as_its_tokens() -> None:
    steps = parse_config(in_steps("{steps: 10k, batch: 512, sequence: 2048}"))
    tokens = parse_config(SMALL.replace("1k", str(10_000 * 512 * 2048)))
    assert steps.mixtures["default"].for_recipe() == tokens.mixtures["default"].for_recipe()


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (
            "{steps: 1, batch: 2}",
            "samplemix.yaml:5: mixtures.default.budget.sequence: this key is required.",
        ),
        ("{steps: 0, batch: 2, sequence: 3}", "samplemix.yaml:5: mixtures.default.budget.steps: "),
        ("1k", "samplemix.yaml:5: mixtures.default.budget: "),
        (
            "{steps: 10, batch: 2, sequence: 3}, budget_tokens: 61",
            "samplemix.yaml:5: mixtures.default.budget: steps x batch x sequence are 60 tokens, "
            "and budget_tokens is 61; give one of them",
        ),
    ],
)
def test_a_budget_in_steps_that_is_none_is_refused_by_its_key(written: str, expected: str) -> None:
    found = refused(in_steps(written))
    assert found.startswith(expected)
    assert found.count("\n") == 0


# -- errors name line and key ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            SMALL.replace("budget_tokens", "budget_token"),
            "samplemix.yaml:5: mixtures.default.budget_token: unknown key. "
            "Did you mean `budget_tokens`?",
        ),
        (
            SMALL.replace("path", "pth"),
            "samplemix.yaml:3: corpus.sources.web.pth: unknown key. Did you mean `path`?",
        ),
        (
            with_lines("mixture:", "  a: 1"),
            "samplemix.yaml:6: mixture: unknown key. Did you mean `mixtures`?",
        ),
        (
            with_lines("diversity:", "  clusters:", "    min_cluster: 3"),
            "samplemix.yaml:8: diversity.clusters.min_cluster: unknown key. "
            "Did you mean `min_cluster_size`?",
        ),
        (
            with_lines("references:", "  main:", "    bootstrap:", "      layer: 3"),
            "samplemix.yaml:9: references.main.bootstrap.layer: unknown key. "
            "Did you mean `layers`?",
        ),
        (
            with_lines("compute:", "  zzz: 3"),
            "samplemix.yaml:7: compute.zzz: unknown key. Known here: address, device, dtype, "
            "executor, num_cpus, num_gpus, tokenize_with, workers.",
        ),
    ],
    ids=["mixture", "source", "top", "clusters", "bootstrap", "nothing near"],
)
def test_an_unknown_key_is_named_with_its_line_and_the_nearest_known(
    text: str, expected: str
) -> None:
    assert expected in refused(text).splitlines()


def test_every_problem_is_named_in_the_order_of_the_lines() -> None:
    said = refused(
        """\
        corpus:
          duplicates: maybe
          sources:
            web: {path: data/*, parts: 0}
        mixtures:
          default: {budget_tokens: 1k, max_copies: 0}
        """
    ).splitlines()
    assert [line.split(": ")[:2] for line in said] == [
        ["samplemix.yaml:2", "corpus.duplicates"],
        ["samplemix.yaml:4", "corpus.sources.web.parts"],
        ["samplemix.yaml:6", "mixtures.default.max_copies"],
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("mixtures: {a: {budget_tokens: 1}}\n", "corpus: this key is required."),
        ("corpus: {sources: {a: {path: x}}}\n", "mixtures: this key is required."),
        (SMALL.replace("budget_tokens: 1k", "seed: 1"), "budget_tokens: this key is required."),
    ],
)
def test_a_missing_key_is_named(text: str, expected: str) -> None:
    assert refused(text).endswith(expected)


@pytest.mark.parametrize(
    ("text", "line", "key"),
    [
        (SMALL + "corpus: {}\n", 6, "corpus"),
        (SMALL.replace("path: data/*", "path: a, path: b"), 3, "path"),
        (SMALL.replace("  default:", "  default: {budget_tokens: 2}\n  default:"), 6, "default"),
    ],
)
def test_a_key_that_is_there_twice_is_refused(text: str, line: int, key: str) -> None:
    assert refused(text) == f"samplemix.yaml:{line}: {key!r} is there twice."


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("corpus: {sources: [\n", r"samplemix.yaml:2: this is not YAML"),
        ("a: b: c\n", "samplemix.yaml:1: this is not YAML"),
        ("", "samplemix.yaml: the file is empty"),
        ("- a\n- b\n", "samplemix.yaml:1: this is a list"),
        ("just words\n", "samplemix.yaml:1: this is a single value"),
    ],
)
def test_what_is_no_configuration_at_all_is_said(text: str, expected: str) -> None:
    assert refused(text).startswith(expected)


def test_a_missing_file_is_named_with_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no configuration at .*none\.yaml.*samplemix init"):
        load_config(tmp_path / "none.yaml")


def test_an_error_in_a_file_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "my.yaml"
    path.write_text(SMALL.replace("1k", "none"))
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    assert str(caught.value).startswith(f"{path}:5: mixtures.default.budget_tokens: ")


# -- what one section says of another --------------------------------------------------------------


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (
            ["quality: {reference: big}"],
            "samplemix.yaml:6: quality.reference: no reference 'big'; there are: main",
        ),
        (
            ["tokenizer:", "  reference: big"],
            "samplemix.yaml:7: tokenizer.reference: no reference 'big'; there are: main",
        ),
        (
            ["references:", "  main: {bootstrap: {sources: [wiki]}}"],
            "samplemix.yaml:7: references.main.bootstrap.sources: no source 'wiki'",
        ),
        (
            ["  other: {budget_tokens: 1, shares: {wiki: 1}}"],
            "samplemix.yaml:6: mixtures.other.shares: no source 'wiki'",
        ),
        (
            ["  other: {budget_tokens: 1, shares_by: kind}"],
            "samplemix.yaml:6: mixtures.other.shares_by: there is no 'kind'; there are source, "
            "language, cluster, topic, and labels: none",
        ),
        (
            ["  other: {budget_tokens: 1, shares_by: [source, kind]}", "labels: {k: {file: a}}"],
            "samplemix.yaml:6: mixtures.other.shares_by: there is no 'kind'; there are source, "
            "language, cluster, topic, and labels: k",
        ),
        (
            ["  other: {budget_tokens: 1, shares_by: [topic, topic]}"],
            "'topic' stands there twice",
        ),
        (["  other: {budget_tokens: 1, shares_by: []}"], "shares are held by something"),
        (
            ["labels: {topic: {file: a.csv}}"],
            "samplemix.yaml:6: labels.topic: every project has 'topic'; take another name",
        ),
        (["labels: {a/b: {file: a.csv}}"], "a label's name has letters, digits, _ and -"),
        (
            ["diversity: {weights: {clusters: 1}}"],
            "weights: no component 'clusters'; known: cluster, ngram, topic",
        ),
        (["diversity: {weights: {ngram: -1}}"], "weights: ngram is -1.0; a weight is 0 or more"),
        (
            ["diversity: {weights: {cluster: 0, ngram: 0, topic: 0}}"],
            "weights: at least one component needs a weight above 0",
        ),
        (["diversity: {metrics: {ngram: a.b:C}}"], "metrics: 'ngram' is a built-in component"),
        (["references: {main: {}}"], "a reference has one of `model`, `bootstrap` or `ngram`"),
        (
            ["references: {main: {model: a/b, bootstrap: {}}}"],
            "a reference has one of `model`, `bootstrap` or `ngram`",
        ),
        (
            ["references: {main: {ngram: {}, bootstrap: {}}}"],
            "a reference has one of `model`, `bootstrap` or `ngram`",
        ),
        (
            ["references: {main: {ngram: {order: 5, vocabulary: 8192}}}"],
            "5 tokens out of 8,192 do not fit into 64 bits: an order of 4, or a vocabulary of",
        ),
        (
            ["references: {main: {ngram: {sources: [wiki]}}}"],
            "samplemix.yaml:6: references.main.ngram.sources: no source 'wiki'",
        ),
        (
            ["references: {main: {ngram: {}}}", "quality: {tokens_per_document: 128}"],
            "quality.tokens_per_document: 'main' counts n-grams, and reads whole texts",
        ),
        (
            ["references: {main: {ngram: {}}}", "quality: {student: {of: main}}"],
            "quality.student: 'main' counts n-grams, and reads whole texts",
        ),
        (
            ["quality: {signals: {perplexity: 1, 'perplexity:fast': 1}}"],
            "quality.signals.perplexity:fast: no reference 'fast'; there are: main",
        ),
        (
            ["quality: {signals: {perplexity: 1, 'perplexity:main': 1}}"],
            "quality.signals: perplexity:main is what perplexity is already",
        ),
        (
            ["quality: {contrast: {good: main, bad: pool}}"],
            "quality.contrast.bad: no reference 'pool'; there are: main",
        ),
        (
            ["quality: {contrast: {good: main, bad: main}}"],
            "good and bad are both 'main': nothing lies between them",
        ),
        (["quality: {signals: {contrast: 1}}"], "signals: no signal 'contrast'"),
        (["quality: {resembles: {papers: {like: []}}}"], "at least 1 item"),
        (
            ["quality: {resembles: {rules: {like: [a.jsonl]}}}"],
            "resembles: 'rules' is a signal that comes along",
        ),
        (
            ["quality: {resembles: {a: {like: [x]}}, external: {a: {file: y}}}"],
            "external: 'a' is a signal of resembles, too",
        ),
        (["tokenizer: {reference: main, file: x}"], "a tokenizer has one of"),
        (["references: {main: {bootstrap: {width: 100}}}"], "a width is a multiple of 32, not 100"),
    ],
)
def test_names_and_rules_across_sections_hold(lines: list[str], expected: str) -> None:
    assert expected in refused(with_lines(*lines))


@pytest.mark.parametrize("name", ["1web", "we b", "a/b", "", "a.b", "ü"])
def test_names_have_letters_digits_and_dashes(name: str) -> None:
    source = (
        f'corpus: {{sources: {{"{name}": {{path: x}}}}}}\nmixtures: {{a: {{budget_tokens: 1}}}}'
    )
    assert f"not {name!r}" in refused(source)
    mixture = SMALL.replace("default", f'"{name}"')
    assert f"not {name!r}" in refused(mixture)


def test_there_are_fewer_than_100_partitions() -> None:
    sources = "\n".join(f"    s{n}: {{path: x, parts: 33}}" for n in range(3))
    text = f"corpus:\n  sources:\n{sources}\nmixtures: {{a: {{budget_tokens: 1}}}}\n"
    assert sum(s.parts for s in parse_config(text).corpus.sources.values()) == MAX_PARTITIONS
    more = text.replace("mixtures:", "    s4: {path: x}\nmixtures:", 1)
    assert "at most 99 sources and parts together, not 100" in refused(more)


# -- exports ---------------------------------------------------------------------------------------


def test_one_export_has_no_name_and_each_of_a_list_has_its_formats() -> None:
    one = parse_config(with_lines("export: {format: parquet, files: 3}"))
    assert {name: e.wanted.folder for name, e in one.exports_of("default").items()} == {
        "": "parquet-3"
    }
    listed = parse_config(with_lines("export: [{to: tokens, files: 2}, {to: jsonl.zst}]"))
    assert {name: e.wanted.folder for name, e in listed.exports_of("default").items()} == {
        "tokens": "tokens-end-2",
        "jsonl_zst": "jsonl.zst-4",
    }


def test_an_export_of_a_list_can_be_of_some_mixtures_alone() -> None:
    text = SMALL + "  other: {budget_tokens: 1k}\n"
    config = parse_config(text + "export: [{to: tokens, mixtures: [other]}, {to: jsonl}]\n")
    assert list(config.exports_of("default")) == ["jsonl"]
    assert list(config.exports_of("other")) == ["tokens", "jsonl"]


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("export: [{to: tokens}, {to: tokens, files: 2}]", "two exports are called 'tokens'"),
        ("export: []", "a list of exports has at least one"),
        ("export: [{to: zip}]", "there is no format 'zip'"),
        ("export: [{files: 2}]", "to: this key is required"),
        ("export: [{to: jsonl, name: a b}]", "a listed export's name has letters"),
        ("export: [{to: jsonl, name: a__b}]", "no two _ in a row"),
        ("export: [{to: jsonl, mixtures: [nobody]}]", "no mixture 'nobody'; there are: default"),
        ("export: [{to: jsonl, fils: 2}]", "Did you mean `files`?"),
        ("export: {format: tokens, eos_inside: cut}", "Input should be 'refuse', 'escape' or"),
    ],
)
def test_a_list_of_exports_that_cannot_be_is_an_error_that_names_its_line(
    line: str, says: str
) -> None:
    message = refused(with_lines(line))
    assert says in message
    assert message.startswith("samplemix.yaml:6: export")


def test_shares_by_a_list_of_one_are_shares_by_it() -> None:
    listed, plain = (
        parse_config(f"{SMALL}  other: {{budget_tokens: 1, shares_by: {by}}}\n").mixtures["other"]
        for by in ("[language]", "language")
    )
    assert listed == plain


def test_shares_by_source_stand_in_no_recipe() -> None:
    settings = parse_config(SMALL).mixtures["default"].for_recipe()
    assert "shares_by" not in settings


def test_given_shares_of_languages_are_no_shares_of_sources() -> None:
    line = "  other: {budget_tokens: 1, shares_by: language, shares: {en: 1}}"
    assert parse_config(f"{SMALL}{line}\n").mixtures["other"].shares == {"en": 1.0}


def test_a_set_is_looked_for_in_all_fields_unless_one_is_named() -> None:
    found = Exclude.model_validate(
        {
            "evaluation": {
                "plain": "a.jsonl",
                "section": {"path": "a.jsonl"},
                "named": {"path": "a.jsonl", "text": "text"},
            }
        }
    )
    assert [found.field(name) for name in found.evaluation] == [None, None, "text"]
