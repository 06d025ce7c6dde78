"""What makes of a document what its draws are written as: its text, or ids with EOS.

Encoded as the stage of token counts does it, so that the counts are those of the ledger.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from samplemix_dagster.core.hashing import tokens_digest
from samplemix_dagster.engine.addresses.recipes import Recipes
from samplemix_dagster.errors import InputError
from samplemix_dagster.export_formats.format import Vocabulary
from samplemix_dagster.export_formats.wanted import Wanted
from samplemix_dagster.storage.corpus.shards import Document
from samplemix_dagster.storage.models.load import end_token_id, load_tokenizer


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoded:
    """A document and the ids of its text."""

    document: Document
    """Without its text, where the ids were stored before."""
    ids: list[int]


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

    def encode(self, documents: Sequence[Document]) -> Iterator[Encoded]:
        """Yield the ids of each text; words of a text that look like a special token are text."""
        texts = [document.text for document in documents]
        encoded = self.tokenizer.encode_batch_fast(texts, add_special_tokens=False)
        for document, found in zip(documents, encoded, strict=True):
            yield Encoded(document=document, ids=found.ids)

    def content(self, found: Encoded) -> dict[str, Any]:
        """Return the columns of a document's draws that are its content."""
        if self.vocabulary is None:
            return {"text": found.document.text}
        ids = found.ids
        if self.vocabulary.eos_id in ids:
            self.num_holding_eos += 1
            ids = self._as_configured(found.document, ids)
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
        where = f"row {document.row} (id {document.id!r})"
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
