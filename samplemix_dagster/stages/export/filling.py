"""Fill an export: read each shard with draws once, encode its documents, set its draws aside.

Encoded as the stage of token counts does it, so that the counts are those of the ledger.
"""

import collections
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from samplemix_dagster.core.hashing import doc_id, tokens_digest
from samplemix_dagster.engine.addresses.recipes import Recipes
from samplemix_dagster.engine.outcome import Progress
from samplemix_dagster.engine.places.shard_places import is_of
from samplemix_dagster.engine.project import Project
from samplemix_dagster.engine.shards.shard_rows import rules_as_read
from samplemix_dagster.errors import InputError
from samplemix_dagster.export_formats.format import Vocabulary
from samplemix_dagster.export_formats.wanted import Wanted
from samplemix_dagster.stages.export.order import Draws, ledger_key
from samplemix_dagster.storage.corpus.manifest import Shard
from samplemix_dagster.storage.corpus.rows import Openable
from samplemix_dagster.storage.corpus.shards import Document, read_shard
from samplemix_dagster.storage.exports import Spill
from samplemix_dagster.storage.lake.whole_files import digest_file
from samplemix_dagster.storage.models.load import end_token_id, load_tokenizer

_TOKENIZED_AT_ONCE = 128


@dataclass(slots=True, kw_only=True)
class Encoder:
    """What makes of a document what its draws are written as."""

    tokenizer: Any
    vocabulary: Vocabulary | None
    """None where draws are written as text."""
    num_holding_eos: int = 0
    """Documents so far whose own text gave the id of EOS, so that a reader would end them early."""

    @classmethod
    def of(cls, recipes: Recipes, wanted: Wanted) -> "Encoder":
        """Return the encoder of the budget's tokenizer for what is wanted.

        Raises:
            ModelError: There is no such tokenizer.
            InputError: The format cannot hold its ids, or needs an EOS that it does not have.
        """
        tokenizer = load_tokenizer(recipes.tokenizer_folder)
        if wanted.form.unit == "text":
            return cls(tokenizer=tokenizer, vocabulary=None)
        vocabulary = Vocabulary(
            size=max(tokenizer.get_vocab(with_added_tokens=True).values()) + 1,
            tokenizer=recipes.tokenizer_digest,
            eos=wanted.options.get("eos", "none"),
            eos_id=end_token_id(recipes.tokenizer_folder, tokenizer),
            inside=wanted.options.get("eos_inside", "keep"),
        )
        if refusal := wanted.form.refusal(vocabulary):
            raise InputError(f"{wanted.name}: {refusal}.")
        return cls(tokenizer=tokenizer, vocabulary=vocabulary)

    def encode(self, documents: Sequence[Document]) -> list[list[int]]:
        """Return the ids of each text; words of a text that look like a special token are text."""
        texts = [document.text for document in documents]
        encoded = self.tokenizer.encode_batch_fast(texts, add_special_tokens=False)
        return [found.ids for found in encoded]

    def content(self, document: Document, ids: list[int]) -> dict[str, Any]:
        """Return the columns of a document's draws that are its content."""
        if self.vocabulary is None:
            return {"text": document.text}
        if self.vocabulary.eos_id in ids:
            self.num_holding_eos += 1
            ids = self._as_configured(document, ids)
        tokens = np.array(self.vocabulary.laid(ids), dtype=np.uint32)
        return {"tokens": tokens, "num_ids": tokens.size, "digest": tokens_digest(tokens)}

    def _as_configured(self, document: Document, ids: list[int]) -> list[int]:
        """Return the ids of a text that gives the id of EOS.

        Raises:
            InputError: Such a text is refused, or there is no other way to write it.
        """
        vocabulary = self.vocabulary
        if vocabulary is None or vocabulary.inside == "keep":
            return ids
        where = f"row {document.row} (id {document.id!r}, {doc_id(document.text)})"
        if vocabulary.inside == "refuse":
            raise InputError(
                f"the text of {where} gives the id of EOS ({vocabulary.eos_id}), at which trainers "
                "would cut it in two. `eos_inside: escape` writes those words in pieces, "
                "`eos_inside: keep` leaves them as they are."
            )
        escaped = self._escaped(document.text)
        if vocabulary.eos_id in escaped:
            raise InputError(
                f"the text of {where} gives the id of EOS ({vocabulary.eos_id}) also in pieces; "
                "leave the document out, or export with `eos_inside: keep`."
            )
        return escaped

    def _escaped(self, text: str) -> list[int]:
        """Return a text's ids with the words of EOS cut behind their first character."""
        word = str(self.tokenizer.id_to_token(self.vocabulary.eos_id)) if self.vocabulary else ""
        first, *others = text.split(word) if word else [text]
        pieces = [first]
        for other in others:
            pieces[-1] += word[0]
            pieces.append(word[1:] + other)
        encoded = self.tokenizer.encode_batch_fast(pieces, add_special_tokens=False)
        return [one for found in encoded for one in found.ids]


def check_tokenizer(recipes: Recipes, mixture: Mapping[str, Any]) -> None:
    """Refuse a version whose tokens were counted by a tokenizer that is no longer named.

    Raises:
        InputError: They were.
    """
    before, now = mixture["fits"]["tokenizer"], recipes.tokenizer_digest
    if before != now:
        raise InputError(
            f"version {mixture['version'][:12]} counted its tokens with another tokenizer "
            f"({before[:8]}, now {now[:8]}); name that one under `tokenizer` to export it."
        )


def fill(
    recipes: Recipes,
    mixture: Mapping[str, Any],
    draws: Draws,
    spill: Spill,
    encoder: Encoder,
    progress: Progress,
) -> int:
    """Read each shard with draws once and set its draws aside; return the tokens counted.

    Raises:
        InputError: A shard has gone or changed since.
    """
    project = recipes.project
    placed = {(one.source, one.digest): one.shard for one in project.all_shards()}
    counted = 0
    by_shard = np.argsort(draws.shard, kind="stable")
    bounds = np.searchsorted(draws.shard[by_shard], np.arange(len(mixture["shards"]) + 1))
    for number, shard in enumerate(mixture["shards"]):
        chosen = by_shard[bounds[number] : bounds[number + 1]]
        if chosen.size == 0:
            continue
        by_row: dict[int, list[int]] = collections.defaultdict(list)
        for draw in chosen:
            by_row[int(draws.row[draw])].append(int(draw))
        key = ledger_key(mixture, shard)
        ledger = recipes.lake.read_table(key, ["row", "doc_id"])
        ids = dict(
            zip(ledger.column("row").to_pylist(), ledger.column("doc_id").to_pylist(), strict=True)
        )
        file = _shard_file(project, shard, placed)
        # The ledger says which rows are documents, also where the rules have moved on since.
        rules = replace(
            rules_as_read(recipes, shard["source"], shard["digest"]),
            min_characters=1,
            max_word_characters=0,
        )
        held: list[Document] = []
        for row in read_shard(file, rules):
            if isinstance(row, Document) and row.row in by_row:
                if doc_id(row.text) != ids[row.row]:
                    raise InputError(
                        f"{file} changed while it was exported; run again. (Or an older reader "
                        f"read row {row.row} otherwise: then a version that is drawn now has it.)"
                    )
                held.append(row)
                if len(held) >= _TOKENIZED_AT_ONCE:
                    counted += _put(held, by_row, ids, shard["source"], draws, spill, encoder)
                    held = []
        counted += _put(held, by_row, ids, shard["source"], draws, spill, encoder)
        progress(f"export/{mixture['name']}", "", number + 1, len(mixture["shards"]))
    return counted


def _put(
    documents: list[Document],
    by_row: dict[int, list[int]],
    ids: dict[int, str],
    source: str,
    draws: Draws,
    spill: Spill,
    encoder: Encoder,
) -> int:
    counted = 0
    for document, found in zip(documents, encoder.encode(documents), strict=True):
        num_tokens = len(found)
        content = encoder.content(document, found)
        for draw in by_row[document.row]:
            counted += num_tokens
            spill.add(
                int(draws.file[draw]),
                {
                    "doc_id": ids[document.row],
                    "source": source,
                    "copy": int(draws.copy[draw]),
                    "num_tokens": num_tokens,
                    "id": document.id,
                    **content,
                    "position": int(draws.position[draw]),
                },
            )
    return counted


def _shard_file(
    project: Project, shard: Mapping[str, Any], placed: Mapping[tuple[str, str], Shard]
) -> Openable:
    """Return where a shard's bytes are today.

    Raises:
        InputError: They are gone, or the source is.
    """
    if shard["source"] not in project.config.corpus.sources:
        raise InputError(f"source {shard['source']!r} is no longer in the configuration.")
    here = placed.get((shard["source"], shard["digest"]))
    if here is not None:
        return project.open_shard(here)
    file = project.files.at(shard["path"])
    if file.is_file() and is_of(shard, digest_file(file)):
        return file
    raise InputError(
        f"shard {shard['digest']} of source {shard['source']!r} (was {shard['path']}) is gone or "
        "has changed, so this version cannot be exported any more."
    )
