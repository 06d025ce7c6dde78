"""Windows of a long text: the laws of their sample, and what they say of the whole."""

import random

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from samplemix_dagster.core.quality.loss.sampled_loss import SampledLosses, sampled_losses
from samplemix_dagster.core.quality.loss.spread_windows import NUM_WINDOWS, SpreadPlan
from tests.core.test_token_loss import BIGRAM, LLAMA, START, TEXTS, TOKENIZER, losses

LONG = [TEXTS[4], TEXTS[5], "und é東😀 so weiter, " * 20]


def sampled(model: object, texts: list[str], **changes: object) -> SampledLosses:
    """What texts cost with 48 tokens of a long one, in windows of 16 after 8 of context."""
    luck = np.random.default_rng(0).random((len(texts), NUM_WINDOWS))
    arguments = {
        "luck_NK": luck,
        "tokens_per_document": 48,
        "start_token_id": START,
        "context_tokens": 512,
        "overlap_tokens": 8,
    } | changes
    return sampled_losses(model, TOKENIZER, texts, **arguments)


@given(
    length=st.integers(17, 5000),
    tokens=st.integers(16, 500),
    overlap=st.integers(0, 40),
    context=st.integers(45, 600),
)
def test_over_all_luck_each_token_is_scored_once_and_never_more_than_asked_for(
    length: int, tokens: int, overlap: int, context: int
) -> None:
    plan = SpreadPlan(tokens_per_document=tokens, context_tokens=context, overlap_tokens=overlap)
    lengths = np.array([length])
    [cells] = plan.num_cells(lengths)
    scored: list[int] = []
    for cell in range(cells):
        windows = plan.windows(lengths, np.full((1, NUM_WINDOWS), (cell + 0.5) / cells))
        first = windows.starts + windows.first_scored
        mine = [n for a, b in zip(first, windows.stops, strict=True) for n in range(a, b)]
        assert len(mine) <= tokens
        assert (windows.stops - windows.starts <= context).all()
        assert (windows.first_scored == np.minimum(first, overlap)).all()
        scored += mine
    assert sorted(scored) == list(range(length))


@pytest.mark.parametrize("start", [START, None])
def test_a_text_that_costs_no_more_whole_has_the_whole_score_to_the_bit(start: int | None) -> None:
    short = [text[: 48 + 3 * 8] for text in TEXTS]
    found = sampled(LLAMA, short, start_token_id=start)
    whole = losses(LLAMA, short, start_token_id=start, overlap_tokens=8)
    assert found.nll_nats.tobytes() == whole.nll_nats.tobytes()
    assert found.num_scored_tokens.tolist() == whole.num_scored_tokens.tolist()
    assert found.num_scored_bytes.tolist() == [len(text.encode()) for text in short]
    assert found.num_read_tokens.tolist() == whole.num_scored_tokens.tolist()
    assert not found.nats_per_byte_error.any()


def test_without_a_number_every_text_has_the_whole_score() -> None:
    found = sampled(LLAMA, TEXTS + LONG, tokens_per_document=None)
    assert (
        found.nll_nats.tobytes() == losses(LLAMA, TEXTS + LONG, overlap_tokens=8).nll_nats.tobytes()
    )


def test_windows_are_scored_as_if_each_were_run_by_hand() -> None:
    text = TEXTS[5]
    ids = [START, *TOKENIZER.encode(text).ids]
    length = len(ids) - 1
    cells = -(-length // 48)
    expected = 0.0
    for number, luck in enumerate((0.0, 0.5, 0.99)):
        cell = number * cells + int(luck * cells)
        first, stop = cell * length // (3 * cells), (cell + 1) * length // (3 * cells)
        start = max(0, first - 8)
        logits = LLAMA(input_ids=torch.tensor([ids[start:stop]])).logits[0, first - start :]
        targets = torch.tensor(ids[first + 1 : stop + 1])
        expected += functional.cross_entropy(logits, targets, reduction="sum").item()
    found = sampled(LLAMA, [text], luck_NK=np.array([[0.0, 0.5, 0.99]]))
    assert found.nll_nats[0] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("start", [START, None])
def test_bytes_of_windows_are_those_of_their_tokens(start: int | None) -> None:
    total, plan = 0, SpreadPlan(tokens_per_document=48, context_tokens=512, overlap_tokens=8)
    size = len(LONG[2].encode())
    [cells] = plan.num_cells(np.array([size - (start is None)]))
    for cell in range(cells):
        luck = np.full((1, NUM_WINDOWS), (cell + 0.5) / cells)
        found = sampled(BIGRAM, [LONG[2]], luck_NK=luck, start_token_id=start)
        total += found.num_scored_bytes[0]
        # A byte is a token here, and a window may begin or end inside a character.
        assert abs(found.num_scored_bytes[0] - found.num_scored_tokens[0]) <= 3 * NUM_WINDOWS
    # The first token of all has no prediction without a start token.
    assert total == size - (start is None)


@pytest.mark.parametrize("batch_tokens", [1, 50, 100_000])
def test_batches_and_neighbours_have_no_effect(batch_tokens: int) -> None:
    texts = TEXTS + LONG
    luck = np.random.default_rng(1).random((len(texts), NUM_WINDOWS))
    expected = sampled(LLAMA, texts, luck_NK=luck)
    order = np.array([7, 0, 3, 8, 1, 2, 6, 5, 4])
    again = sampled(
        LLAMA, [texts[n] for n in order], luck_NK=luck[order], batch_tokens=batch_tokens
    )
    # Other batch shapes change a float32 in its last bits.
    np.testing.assert_allclose(again.nll_nats, expected.nll_nats[order], rtol=1e-5)
    np.testing.assert_allclose(
        again.nats_per_byte_error, expected.nats_per_byte_error[order], rtol=1e-4, atol=1e-6
    )
    assert again.num_scored_bytes.tolist() == expected.num_scored_bytes[order].tolist()


@pytest.fixture(scope="module")
def many() -> tuple[SampledLosses, SampledLosses]:
    """Losses of 600 long texts under a model that needs no context: from windows, and whole."""
    luck = random.Random(0)
    letters = "etaoin shrdlu"
    texts = ["".join(luck.choices(letters, k=luck.randrange(200, 900))) for _ in range(600)]
    return sampled(BIGRAM, texts), sampled(BIGRAM, texts, tokens_per_document=None)


def test_windows_are_not_biased_over_documents(many: tuple[SampledLosses, SampledLosses]) -> None:
    some, whole = many
    bits, expected = (one.bits_per_byte(one.num_scored_bytes) for one in many)
    gaps = bits - expected
    assert (some.num_scored_tokens <= 48).all()
    assert (whole.num_scored_tokens >= 200).all()
    assert abs(gaps.mean()) < 2 * gaps.std() / np.sqrt(gaps.size)


def test_1_96_standard_errors_cover_the_whole_score_of_95_in_100(
    many: tuple[SampledLosses, SampledLosses],
) -> None:
    some, _ = many
    bits, expected = (one.bits_per_byte(one.num_scored_bytes) for one in many)
    error = some.nats_per_byte_error / np.log(2.0)
    covered = (abs(bits - expected) <= 1.96 * error).mean()
    # 600 texts leave a standard error of .009.
    assert 0.925 < covered < 0.975
