import math
import random
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from samplemix_dagster.core.hashing import doc_id, id_words
from samplemix_dagster.core.quality import bootstrap_recipe
from samplemix_dagster.core.quality.bootstrap import (
    SEPARATOR,
    BootstrapRecipe,
    fold_of,
    memorisation_gap,
    train_reference,
    train_tokenizer,
)
from samplemix_dagster.core.quality.loss.token_loss import text_losses
from samplemix_dagster.errors import InputError

SENTENCES = [
    "the cat sat on the mat and looked at the moon. ",
    "a small boat went down the long river to the sea. ",
    "every morning the baker opens the door of her shop. ",
    "numbers like 12 and 345 stand in the table below. ",
]
TEXTS = ["".join(random.Random(seed).choices(SENTENCES, k=8)) for seed in range(120)]
TOKENIZER = train_tokenizer(TEXTS, 300)
RECIPE = BootstrapRecipe(
    tokens=6_000, vocabulary=300, layers=1, width=32, context_tokens=32, batch_rows=4
)


def weights(model: torch.nn.Module) -> bytes:
    return b"".join(value.numpy().tobytes() for value in model.state_dict().values())


@settings(max_examples=60, deadline=None)
@given(text=st.text())
def test_any_text_comes_back_from_its_tokens(text: str) -> None:
    ids = TOKENIZER.encode(text, add_special_tokens=False).ids
    assert TOKENIZER.decode(ids, skip_special_tokens=False) == text
    assert TOKENIZER.token_to_id(SEPARATOR) not in ids


def test_the_words_of_the_separator_in_a_text_are_text() -> None:
    ids = TOKENIZER.encode(f"one {SEPARATOR} two").ids
    assert TOKENIZER.token_to_id(SEPARATOR) not in ids
    assert TOKENIZER.decode(ids) == f"one {SEPARATOR} two"


def test_a_tokenizer_is_the_same_for_any_order_of_the_texts() -> None:
    assert train_tokenizer(TEXTS[::-1], 300).to_str() == TOKENIZER.to_str()


def test_a_tokenizer_has_the_vocabulary_that_was_asked_for() -> None:
    assert TOKENIZER.get_vocab_size() == 300
    assert TOKENIZER.token_to_id(SEPARATOR) == 0


def test_refuses_a_vocabulary_that_cannot_hold_the_bytes() -> None:
    with pytest.raises(ValueError, match="at least 257"):
        train_tokenizer(TEXTS, 256)


def test_the_same_seed_gives_the_same_weights_to_the_last_bit() -> None:
    first, _ = train_reference(TEXTS, TOKENIZER, RECIPE)
    torch.rand(7)  # the global generator moves on; nothing may depend on it
    second, _ = train_reference(TEXTS, TOKENIZER, RECIPE)
    assert weights(first) == weights(second)


def test_the_order_of_the_texts_has_no_effect() -> None:
    first, _ = train_reference(TEXTS, TOKENIZER, RECIPE)
    second, report = train_reference(TEXTS[::-1], TOKENIZER, RECIPE)
    assert weights(first) == weights(second)
    assert report.is_member.any()


def test_training_leaves_the_global_generator_alone() -> None:
    before = torch.get_rng_state()
    train_reference(TEXTS, TOKENIZER, RECIPE)
    assert torch.equal(torch.get_rng_state(), before)


def test_another_seed_gives_another_model() -> None:
    other = BootstrapRecipe(
        tokens=500, vocabulary=300, layers=1, width=32, context_tokens=32, seed=1
    )
    same = BootstrapRecipe(tokens=500, vocabulary=300, layers=1, width=32, context_tokens=32)
    first, _ = train_reference(TEXTS, TOKENIZER, same)
    second, _ = train_reference(TEXTS, TOKENIZER, other)
    assert weights(first) != weights(second)


def test_a_reference_learns_a_repetitive_corpus() -> None:
    recipe = BootstrapRecipe(
        tokens=40_000, vocabulary=300, layers=1, width=64, context_tokens=64, batch_rows=4
    )
    texts = ["".join(random.Random(seed).choices(SENTENCES, k=20)) for seed in range(300)]
    model, report = train_reference(texts, TOKENIZER, recipe)
    assert report.first_bits_per_token == pytest.approx(math.log2(300), abs=0.3)
    assert report.last_bits_per_token < 1.5
    unseen = "".join(random.Random(-1).choices(SENTENCES, k=20))
    losses = text_losses(
        model, TOKENIZER, [unseen], start_token_id=0, context_tokens=64, overlap_tokens=32
    )
    assert losses.perplexity()[0] < 4.0


def test_training_stops_at_the_tokens_that_were_asked_for() -> None:
    seen: list[tuple[int, int]] = []
    _, report = train_reference(
        TEXTS, TOKENIZER, RECIPE, progress=lambda done, total: seen.append((done, total))
    )
    assert report.num_tokens == 6_000 // 32 * 32
    assert seen[-1] == (report.num_tokens, report.num_tokens)
    assert len(seen) == report.num_steps == math.ceil(6_000 // 32 / 4)


def test_members_are_the_texts_whose_tokens_were_needed() -> None:
    _, report = train_reference(TEXTS, TOKENIZER, RECIPE)
    lengths = np.array([len(TOKENIZER.encode(text).ids) + 1 for text in TEXTS])
    inside = lengths[report.is_member].sum()
    assert 6_001 <= inside < 6_001 + lengths.max()


def test_few_texts_end_the_epoch_early() -> None:
    _, report = train_reference(TEXTS[:3], TOKENIZER, RECIPE)
    assert report.is_member.all()
    assert report.num_tokens < 6_000


def test_texts_that_do_not_fill_a_row_are_one_shorter_row() -> None:
    model, report = train_reference(["too short"], TOKENIZER, RECIPE)
    assert 0 < report.num_tokens < RECIPE.context_tokens
    assert report.num_steps == 1
    assert model.config.max_position_embeddings == RECIPE.context_tokens


def test_refuses_texts_without_a_token() -> None:
    with pytest.raises(InputError, match="needs a token to train on"):
        train_reference([], TOKENIZER, RECIPE)


def test_refuses_a_tokenizer_without_a_separator() -> None:
    from tokenizers import models

    with pytest.raises(ValueError, match=r"endoftext"):
        train_reference(TEXTS, Tokenizer(models.BPE()), RECIPE)


def test_the_default_recipe_has_nine_tenths_of_a_million_parameters() -> None:
    tokenizer = train_tokenizer(Path(__file__).read_text(encoding="utf-8").splitlines(), 512)
    recipe = BootstrapRecipe(tokens=512, context_tokens=128)
    model, report = train_reference([Path(__file__).read_text(encoding="utf-8")], tokenizer, recipe)
    num_embeddings = 128 * tokenizer.get_vocab_size()
    assert report.num_parameters - num_embeddings + 128 * 4096 == pytest.approx(0.9e6, rel=0.05)
    assert model.lm_head.weight is model.model.embed_tokens.weight


@pytest.mark.parametrize(
    "changes", [{"width": 48}, {"layers": 0}, {"tokens": 0}, {"context_tokens": 1}]
)
def test_refuses_sizes_from_which_no_model_can_be_built(changes: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="bootstrapped reference"):
        BootstrapRecipe(**changes)


def test_the_gap_is_the_byte_weighted_mean_of_others_less_members() -> None:
    gap = memorisation_gap(
        member_bits_per_byte=np.array([1.0, 3.0]),
        member_bytes=np.array([3, 1]),
        other_bits_per_byte=np.array([2.0]),
        other_bytes=np.array([5]),
    )
    assert gap == pytest.approx(0.5)


def test_refuses_a_gap_without_members() -> None:
    nothing = np.empty(0)
    with pytest.raises(ValueError, match="both sides"):
        memorisation_gap(
            member_bits_per_byte=nothing,
            member_bytes=nothing.astype(np.int64),
            other_bits_per_byte=np.ones(1),
            other_bytes=np.ones(1, dtype=np.int64),
        )


def test_folds_halve_the_documents_and_hang_on_the_id_alone() -> None:
    words_N2 = id_words([doc_id(str(number)) for number in range(4_000)])
    folds = fold_of(words_N2)
    assert folds.dtype == np.int8
    # Four standard deviations of a fair coin thrown 4,000 times.
    assert abs(folds.mean() - 0.5) < 4 * 0.5 / math.sqrt(4_000)
    assert (fold_of(words_N2[::-1])[::-1] == folds).all()


def test_a_recipe_needs_no_torch() -> None:
    source = Path(bootstrap_recipe.__file__).read_text(encoding="utf-8")
    assert "import torch" not in source
    assert "transformers" not in source
