"""Croissant 1.1 of an export, with fields of responsible AI: JSON-LD that mlcroissant reads.

The format: https://docs.mlcommons.org/croissant/docs/croissant-spec-1.1.html, its fields ``rai:``:
https://docs.mlcommons.org/croissant/docs/croissant-rai-spec.html. Files have sha256, as it asks.
"""

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from samplemix_dagster.trace.exports.exported import Exported
from samplemix_dagster.trace.papers.facts import UNSTATED, Facts
from samplemix_dagster.trace.papers.summary import sentences

_CONTEXT: Mapping[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "sc": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "dct": "http://purl.org/dc/terms/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileObject": "cr:fileObject",
    "fileProperty": "cr:fileProperty",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}
_MEDIA = {".parquet": "application/x-parquet", ".jsonl": "application/jsonlines"}
_DESCRIBED = {"parquet", "jsonl"}
"""Formats whose rows are described."""
_PARTS = "parts"
_FIELDS = (
    ("doc_id", "sc:Text", "128-bit BLAKE2b of the text"),
    ("source", "sc:Text", "the source that it is of"),
    ("copy", "sc:Integer", "which copy of the document, from 0"),
    ("num_tokens", "sc:Integer", "tokens in the budget's tokenizer"),
    ("id", "sc:Text", "the document's own id, as its source gives it"),
    ("text", "sc:Text", "the text"),
)
_BLOCK_BYTES = 1 << 20


def croissant(facts: Facts, exported: Exported) -> Mapping[str, Any]:
    """Return the description of an export, as a JSON value; every file of it is digested."""
    manifest = facts.manifest
    name = f"{manifest['name']}-{manifest['version'][:12]}"
    files = list(_files(exported))
    licences = [one for one, _ in facts.drawn("licence") if one != UNSTATED]
    is_described = exported.wanted.name in _DESCRIBED
    return {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": [
            "http://mlcommons.org/croissant/1.1",
            "http://mlcommons.org/croissant/RAI/1.0",
        ],
        "name": name,
        "description": f"Mixture {manifest['name']}, version {manifest['version']}: "
        f"{facts.tokens_drawn:,} tokens for pre-training. {' '.join(sentences(facts))}",
        "version": f"1.0.0+{manifest['version']}",
        "datePublished": manifest["made_at"],
        "license": licences or [UNSTATED],
        "inLanguage": [one for one, _ in facts.drawn("language")],
        "url": f"urn:samplemix:{manifest['version']}",
        "citeAs": f"{name}, drawn by SampleMix on Dagster {manifest['samplemix_version']}",
        **_responsible(facts),
        "distribution": [*files, *([_parts(exported)] if is_described else [])],
        "recordSet": [_records()] if is_described else [],
    }


def _responsible(facts: Facts) -> Mapping[str, Any]:
    """Return the fields of responsible AI that the data itself can fill in."""
    report = facts.manifest["report"]
    found: dict[str, object] = {
        "rai:dataCollection": "Drawn from "
        + ", ".join(f"{one} ({part.counts['tokens_drawn']:,} tokens)" for one, part in _by(facts)),
        "rai:dataPreprocessingProtocol": list(sentences(facts)),
        "rai:dataLimitations": [
            "What scores low is rare here. Quality filters are known to remove dialects and "
            "unusual writers more often than others (arXiv 2401.06408).",
            *report["warnings"],
        ],
        "rai:dataUseCases": ["Pre-training of language models"],
    }
    if facts.last_date is not None:
        found["rai:dataCollectionTimeframe"] = [facts.first_date, facts.last_date]
    return found


def _by(facts: Facts) -> list[Any]:
    return facts.drawn("source")


def _files(exported: Exported) -> Iterator[Mapping[str, Any]]:
    for file in exported.manifest["files"]:
        path = exported.folder / file["name"]
        yield {
            "@type": "cr:FileObject",
            "@id": file["name"],
            "name": file["name"],
            "contentUrl": file["name"],
            "contentSize": f"{file['num_bytes']} B",
            "encodingFormat": _MEDIA.get(path.suffix, "application/octet-stream"),
            "sha256": _sha256(path),
        }


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


def _parts(exported: Exported) -> Mapping[str, Any]:
    """Return the set of all files of draws, whose rows are alike."""
    form = exported.wanted.form
    return {
        "@type": "cr:FileSet",
        "@id": _PARTS,
        "name": _PARTS,
        "encodingFormat": _MEDIA[form.endings[0]],
        "includes": f"{form.stem}*{form.endings[0]}",
    }


def _records() -> Mapping[str, Any]:
    return {
        "@type": "cr:RecordSet",
        "@id": "draws",
        "name": "draws",
        "description": "One row per draw: a document that is drawn twice has two.",
        "field": [
            {
                "@type": "cr:Field",
                "@id": f"draws/{name}",
                "name": name,
                "description": words,
                "dataType": kind,
                "source": {
                    "fileSet": {"@id": _PARTS},
                    "extract": {"column": name},
                },
            }
            for name, kind, words in _FIELDS
        ],
    }
