"""What a key of ours looks like: the one place that spells it.

Who removes files asks here first, so that nothing is removed that does not have our name and form,
and who opens a lake asks what in a folder is not ours. Hidden names below a folder of ours are of
writers at work or killed. Nothing here looks at a file.
"""

import re

from samplemix_dagster.export_formats.wanted import is_export_file, is_export_folder
from samplemix_dagster.section import NAME

_REPLACED = tuple(f"{head}/" for head in ("shards", "state", "reports", "models", "exports"))

MARKER = "samplemix-lake.json"
"""The file in a lake's root that says it is one: garbage is only collected where it stands."""
MARKER_CONTENT = {"schema": 1, "what": "a lake of SampleMix: made by it, and cleaned by it"}

BUILDING = ".building"
"""The folder below ``reports`` in which dbt builds."""

_RECIPE = "[0-9a-f]{24}"
_DIGEST = "[0-9a-f]{32}"
_LABEL = NAME.pattern  # of a source, a mixture, a reference, a metric
_PARTITION = rf"{_LABEL}(?:-part-[0-9]{{2}})?"
_ASIDE = re.compile(r"\..+\.[0-9a-f]{12}|\.spill-.+")

_FORMS = {
    "documents": rf"{_RECIPE}/{_DIGEST}(?:\.rejected)?\.parquet",
    "features": rf"[a-z]+(?:-{_LABEL})?/{_RECIPE}/{_DIGEST}\.parquet",
    # A fit's files are named by what it is; a metric of a user's own chooses none.
    "fits": rf"[a-z_]+(?:-{_LABEL})?/(?:current\.json|{_RECIPE}/[a-zA-Z0-9_./-]+"
    r"\.(?:json|safetensors|parquet|txt|model|jinja))",
    "mixtures": rf"{_LABEL}/(?:current\.json|{_RECIPE}/(?:manifest(?:\.copy)?\.json"
    rf"|manifest\.damaged|ledger/{_LABEL}-{_DIGEST}\.parquet))",
    # Which folders and files there are in it is asked of the formats.
    "exports": rf"{_LABEL}/{_RECIPE}/[^/]+/[^/]+",
    "evaluations": rf"(?:results/current\.json|(?:overlaps|results)/{_RECIPE}\.json"
    rf"|losses/{_RECIPE}\.parquet|steps/{_RECIPE}\.safetensors)",
    "shards": rf"{_PARTITION}/current\.json",
    "state": rf"[a-z]+(?:-{_LABEL})?/{_LABEL}\.json",
    "reports": r"(?:current\.json|[a-z0-9_]+\.parquet)",
    "machines": rf"{_RECIPE}\.json",
    "models": r"digests\.json",
}
HEADS = tuple(_FORMS)
"""The folders in a lake's root."""
_KEY = {head: re.compile(f"{head}/{form}") for head, form in _FORMS.items()}
_FOLDER = {
    "documents": re.compile(rf"documents/{_RECIPE}"),
    "features": re.compile(rf"features/[^/]+/{_RECIPE}"),
    "fits": re.compile(rf"fits/[^/]+/{_RECIPE}(?:/[^/.][^/]*)*"),
    "mixtures": re.compile(rf"mixtures/[^/]+/{_RECIPE}(?:/ledger)?"),
    "exports": re.compile(rf"exports/[^/]+/{_RECIPE}(?:/[^/]+)?"),
}
_SECOND = {
    "documents": re.compile(_RECIPE),
    "features": re.compile(rf"[a-z]+(?:-{_LABEL})?"),
    "fits": re.compile(rf"[a-z_]+(?:-{_LABEL})?"),
    "mixtures": re.compile(_LABEL),
    "exports": re.compile(_LABEL),
    "evaluations": re.compile("overlaps|results|losses|steps"),
    "shards": re.compile(_PARTITION),
    "state": re.compile(rf"[a-z]+(?:-{_LABEL})?"),
}
"""Heads of which the names directly below are folders, with what those look like."""
_OF_THE_SYSTEM = re.compile(
    r"lost\+found|\.DS_Store|\._.*|\.Trash.*|\.nfs.*|\.snapshot.*|\.fuse_hidden.*|Thumbs\.db"
    r"|desktop\.ini|\.Spotlight-V100|\.fseventsd|\.TemporaryItems"
    r"|\.gitignore|\.gitkeep|CACHEDIR\.TAG|\.nobackup"
)
"""What file systems and desktops put into folders, and what tells tools to leave a folder alone."""


def is_replaced(key: str) -> bool:
    """Whether what stands at a key can be replaced by something else: all else never changes."""
    return key.rsplit("/", 1)[-1] == "current.json" or key.startswith(_REPLACED)


def is_ours(key: str) -> bool:
    """Whether a key has the form of a finished file of a lake."""
    head = key.partition("/")[0]
    if head not in _KEY or _KEY[head].fullmatch(key) is None:
        return key == MARKER
    return head != "exports" or is_export_file(*key.split("/")[3:])


def is_leftover(key: str) -> bool:
    """Whether a key is of a file or folder that a writer keeps aside, in a folder of ours."""
    parts = key.split("/")
    if len(parts) == 1:
        return key.startswith(f".{MARKER}.") and _ASIDE.fullmatch(key) is not None
    return parts[0] in _FORMS and any(_ASIDE.fullmatch(part) for part in parts[1:])


def is_folder_of_ours(key: str) -> bool:
    """Whether a folder has the form of one that a lake makes for a recipe or version, or aside."""
    head, *inner = key.split("/")
    if head not in _FOLDER or _FOLDER[head].fullmatch(key) is None:
        return is_leftover(key)
    return head != "exports" or len(inner) < 3 or is_export_folder(inner[2])


def is_in_the_way(name: str, *, is_folder: bool | None) -> bool:
    """Whether a name in a lake's root is neither ours nor the system's.

    Args:
        name: The name.
        is_folder: Whether it is a folder's; None where that is not known.
    """
    if _OF_THE_SYSTEM.fullmatch(name) or name == MARKER or is_leftover(name):
        return False
    return name not in _FORMS or is_folder is False


def is_in_the_way_below(head: str, name: str, *, is_folder: bool | None) -> bool:
    """Whether a name directly in one of the heads is neither ours nor the system's."""
    if _OF_THE_SYSTEM.fullmatch(name) or is_leftover(f"{head}/{name}") or name == BUILDING:
        return False
    if head in _SECOND:
        return is_folder is False or _SECOND[head].fullmatch(name) is None
    return is_folder is True or not is_ours(f"{head}/{name}")


# -- where things lie --------------------------------------------------------------------------
#
# Every key of the lake is spelled here, and nowhere else.

MIXTURES, FITS, SHARDS, STATE, REPORTS, EXPORTS = (
    "mixtures",
    "fits",
    "shards",
    "state",
    "reports",
    "exports",
)
_DOCUMENTS = "documents"
EVALUATIONS = "evaluations"
EVALUATION_LOSSES = f"{EVALUATIONS}/losses"
EVALUATION_RESULTS = f"{EVALUATIONS}/results"
CURRENT_EVALUATION = f"{EVALUATION_RESULTS}/current.json"
"""The result that was asked for last."""
CURRENT_REPORTS = f"{REPORTS}/current.json"
MODEL_DIGESTS = "models/digests.json"
TABLES_OF_SHARDS = ("documents/", "features/")
"""How the keys of tables of one shard begin; documents first."""
LABEL_STAGE = "label-"
"""How the names of stages begin that give documents a label of another tool."""
MANIFEST = "manifest.json"
MANIFEST_COPY = "manifest.copy.json"
"""A version's manifest once more: nothing else can say what it was made from."""
MANIFEST_DAMAGED = "manifest.damaged"
"""What is left of a manifest that cannot be made again; a version without one is not listed."""


def documents_folder(recipe: str) -> str:
    """Return the folder of documents that were read by a recipe."""
    return f"documents/{recipe}"


def features_folder(stage: str, recipe: str) -> str:
    """Return the folder of a stage's tables by a recipe."""
    return f"features/{stage}/{recipe}"


def tables_folder(stage: str, recipe: str) -> str:
    """Return the folder of a stage's tables; documents have one of their own."""
    return documents_folder(recipe) if stage == _DOCUMENTS else features_folder(stage, recipe)


def fits_folder(fit: str) -> str:
    """Return the folder of all versions of a fit."""
    return f"{FITS}/{fit}"


def fit_folder(fit: str, version: str) -> str:
    """Return the folder of a fit's version."""
    return f"{FITS}/{fit}/{version}"


def fit_note(folder: str) -> str:
    """Return what says, in a fit's folder, what it was made from; it is written last."""
    return f"{folder}/fit.json"


def names_in(folder: str) -> str:
    """Return the names of groups, by number, in a fit's folder."""
    return f"{folder}/names.json"


def current_fit(fit: str) -> str:
    """Return the note of the version of a fit that is in use."""
    return f"{FITS}/{fit}/current.json"


def versions_folder(mixture: str) -> str:
    """Return the folder of all versions of a mixture."""
    return f"{MIXTURES}/{mixture}"


def version_folder(mixture: str, version: str) -> str:
    """Return the folder of a mixture's version."""
    return f"{MIXTURES}/{mixture}/{version}"


def manifest(mixture: str, version: str) -> str:
    """Return the manifest of a mixture's version."""
    return manifest_in(version_folder(mixture, version))


def manifest_in(folder: str) -> str:
    """Return the manifest in the folder of a version or of an export; it is written last."""
    return f"{folder}/{MANIFEST}"


def manifest_copy_in(folder: str) -> str:
    """Return the copy of the manifest in the folder of a version."""
    return f"{folder}/{MANIFEST_COPY}"


def current_version(mixture: str) -> str:
    """Return the note of a mixture's published version."""
    return f"{MIXTURES}/{mixture}/current.json"


def exports_folder(mixture: str) -> str:
    """Return the folder of all exports of a mixture."""
    return f"{EXPORTS}/{mixture}"


def exports_of(mixture: str, version: str) -> str:
    """Return the folder of the exports of a mixture's version."""
    return f"{EXPORTS}/{mixture}/{version}"


def duplicates(version: str) -> str:
    """Return the table of duplicates of a version of the corpus."""
    return f"{fit_folder('corpus', version)}/duplicates.parquet"


def excluded(version: str) -> str:
    """Return the table of a version of the exclusions."""
    return f"{fit_folder('exclusions', version)}/excluded.parquet"


def shards_in(folder: str) -> str:
    """Return the list of shards of a partition, by the partition's folder."""
    return f"{SHARDS}/{folder}/current.json"


def notes_folder(stage: str) -> str:
    """Return the folder of what a stage noted when it was last completed."""
    return f"{STATE}/{stage}"


def done_note(stage: str, source: str) -> str:
    """Return what a stage noted of a source when it was last completed."""
    return f"{STATE}/{stage}/{source}.json"


def refused_note(mixture: str) -> str:
    """Return why a mixture's version was not published."""
    return f"{STATE}/refused-mixtures/{mixture}.json"


def report(model: str) -> str:
    """Return the table that a dbt model made."""
    return f"{REPORTS}/{model}.parquet"


def machine(mark: str) -> str:
    """Return what was found out about a machine."""
    return f"machines/{mark}.json"


def evaluation_overlaps(address: str) -> str:
    """Return which judged texts stand in the corpus."""
    return f"{EVALUATIONS}/overlaps/{address}.json"


def evaluation_losses(address: str) -> str:
    """Return the losses of a trained learner."""
    return f"{EVALUATION_LOSSES}/{address}.parquet"


def evaluation_result(address: str) -> str:
    """Return what an evaluation found."""
    return f"{EVALUATION_RESULTS}/{address}.json"


def evaluation_steps(address: str) -> str:
    """Return how far a training is that has not ended."""
    return f"{EVALUATIONS}/steps/{address}.safetensors"
