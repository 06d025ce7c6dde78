"""What makes of a document what its draws are written as: its text, or ids with EOS and BOS.

Encoded as the stage of token counts does it, so that the counts are those of the ledger. That they
are is looked at for each document whose ids are written. A text is written as it was read, and is
known by its digest; so of those the count is made again for a few, which a hash of their names
chooses.
"""

import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from samplemix_dagster.core.hashing import id_words, keyed_hashes, tokens_digest
from samplemix_dagster.engine.addresses.recipes import Recipes
from samplemix_dagster.errors import InputError
from samplemix_dagster.export_formats.format import Vocabulary
from samplemix_dagster.export_formats.wanted import Wanted
from samplemix_dagster.storage.corpus.shards import Document
from samplemix_dagster.storage.models.load import end_token_id, load_tokenizer, start_token_id
from samplemix_dagster.storage.models.text_ids import Ids, TextIds, text_ids

_COUNTED_ONE_IN = 64
_RECOUNT = "count again"


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoded:
    """A document and the ids of its text."""

    document: Document
    """Without its text, where the ids were stored before."""
    ids: Ids | None
    """None where the text is written and was not counted again."""


@dataclass(slots=True, kw_only=True)
class Encoder:
    """What makes of a document what its draws are written as."""

    text_ids: TextIds
    vocabulary: Vocabulary | None
    """None where draws are written as text."""
    num_holding: Counter[str] = field(default_factory=Counter)
    """Documents so far whose own text gives the id of EOS, or of BOS, by that name: a reader that
    goes by the id would cut them in two."""
    num_escaped: int = 0
    """Documents so far of which such words were written in pieces."""

    @classmethod
    def of(cls, recipes: Recipes, wanted: Wanted) -> "Encoder":
        """Return the encoder of the budget's tokenizer for what is wanted.

        Raises:
            ModelError: There is no such tokenizer.
            InputError: The format cannot hold its ids, or needs an EOS that it does not have.
        """
        tokenizer = load_tokenizer(recipes.tokenizer_folder)
        found = text_ids(tokenizer, recipes.config.compute.tokenize_with)
        if wanted.form.unit == "text":
            return cls(text_ids=found, vocabulary=None)
        vocabulary = Vocabulary(
            size=max(tokenizer.get_vocab(with_added_tokens=True).values()) + 1,
            tokenizer=recipes.tokenizer_digest,
            eos=wanted.options.get("eos", "none"),
            eos_id=end_token_id(recipes.tokenizer_folder, tokenizer),
            inside=wanted.options.get("eos_inside", "keep"),
            bos=wanted.options.get("bos", "none"),
            bos_id=start_token_id(recipes.tokenizer_folder, tokenizer),
        )
        if refusal := wanted.form.refusal(vocabulary):
            raise InputError(f"{wanted.name}: {refusal}.")
        return cls(text_ids=found, vocabulary=vocabulary)

    def rows_to_count(self, names: Mapping[int, str], rows: Collection[int]) -> frozenset[int]:
        """Return which rows of a shard are counted again: all whose ids are wanted.

        Of texts it is one in 64 and at least one, those whose names have the lowest hashes.

        Args:
            names: The document of each row of the shard.
            rows: The rows with draws.
        """
        if self.vocabulary is not None:
            return frozenset(rows)
        ordered = sorted(rows)
        hashes = keyed_hashes(id_words([names[row] for row in ordered]), 0, _RECOUNT)
        lowest = np.argsort(hashes, kind="stable")[: -(-len(ordered) // _COUNTED_ONE_IN)]
        return frozenset(ordered[place] for place in lowest.tolist())

    def encode(self, documents: Sequence[Document], counted: Collection[int]) -> Iterator[Encoded]:
        """Yield each document, with its ids where its row is one that is counted again.

        Words of a text that look like a special token are text.
        """
        texts = [document.text for document in documents if document.row in counted]
        encoded = iter(self.text_ids.of(texts))
        for document in documents:
            is_counted = document.row in counted
            yield Encoded(document=document, ids=next(encoded) if is_counted else None)

    def content(self, found: Encoded) -> dict[str, Any]:
        """Return the columns of a document's draws that are its content."""
        ids = found.ids
        if self.vocabulary is None or ids is None:
            return {"text": found.document.text}
        if held := [name for name, mark in self.vocabulary.marks.items() if mark in ids]:
            ids = self._as_configured(found.document, ids, self.vocabulary, held)
        tokens = self.vocabulary.laid(ids)
        return {"tokens": tokens, "num_ids": tokens.size, "digest": tokens_digest(tokens)}

    def _as_configured(
        self, document: Document, ids: Ids, vocabulary: Vocabulary, held: list[str]
    ) -> Ids:
        """Return the ids of a text that gives the ids of some marks, by their names.

        Raises:
            InputError: Such a text is refused, or there is no other way to write it.
        """
        if vocabulary.inside == "keep":
            self.num_holding.update(held)
            return ids
        where = f"row {document.row} (id {document.id!r})"
        gives = f"the text of {where} gives the id of {held[0]} ({vocabulary.marks[held[0]]})"
        if vocabulary.inside == "refuse":
            raise InputError(
                f"{gives}, at which trainers would cut it in two. `eos_inside: escape` writes "
                "those words in pieces, `eos_inside: keep` leaves them as they are."
            )
        marks = vocabulary.marks.values()
        name_of = self.text_ids.tokenizer.id_to_token
        escaped = self._escaped(document.text, [str(name_of(one)) for one in marks])
        if not set(escaped.tolist()).isdisjoint(marks):
            raise InputError(
                f"{gives} also in pieces; leave the document out, or export with "
                "`eos_inside: keep`."
            )
        self.num_escaped += 1
        return escaped

    def _escaped(self, text: str, words: list[str]) -> Ids:
        """Return a text's ids with some words cut behind their first character."""
        first, *others = re.split(f"({'|'.join(map(re.escape, words))})", text)
        pieces = [first]
        for word, other in zip(others[::2], others[1::2], strict=True):
            pieces[-1] += word[0]
            pieces.append(word[1:] + other)
        return np.concatenate(self.text_ids.of(pieces))
