import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from torch.nn import functional
from transformers import (
    BertConfig,
    BertLMHeadModel,
    CohereConfig,
    CohereForCausalLM,
    Gemma2Config,
    Gemma2ForCausalLM,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
)

from samplemix_dagster.core.quality.loss.token_loss import TextLosses, text_losses
from samplemix_dagster.core.quality.loss.windows import plan_windows
from samplemix_dagster.errors import ModelError

START = 256
VOCABULARY = 257
CONTEXT = 32
TEXTS = [
    "A short one.",
    "",
    "ü",
    "Some words of middling length, which fit.",
    "x" * 200,
    "The first half of this text is prose; 0123456789 abcdefghij the second is not. " * 3,
]


def byte_tokenizer() -> Tokenizer:
    """One token per byte, so lengths can be counted by hand."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE({letter: row for row, letter in enumerate(alphabet)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


TOKENIZER = byte_tokenizer()


def llama(seed: int = 0, **changes: object) -> LlamaForCausalLM:
    sizes = {
        "vocab_size": VOCABULARY,
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "max_position_embeddings": 512,
        "initializer_range": 0.3,
    }
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return LlamaForCausalLM(LlamaConfig(**(sizes | changes))).eval()


def gpt2() -> GPT2LMHeadModel:
    config = GPT2Config(
        vocab_size=VOCABULARY,
        n_embd=32,
        n_layer=2,
        n_head=2,
        n_positions=512,
        initializer_range=0.3,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return GPT2LMHeadModel(config).eval()


def gemma2() -> Gemma2ForCausalLM:
    config = Gemma2Config(
        vocab_size=VOCABULARY,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=16,
        final_logit_softcapping=1.0,
        initializer_range=0.3,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Gemma2ForCausalLM(config).eval()


def cohere() -> CohereForCausalLM:
    config = CohereConfig(
        vocab_size=VOCABULARY,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        logit_scale=0.25,
        initializer_range=0.3,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return CohereForCausalLM(config).eval()


LLAMA = llama()
# Without layers the next token hangs on the last one alone, so no window can change a loss.
BIGRAM = llama(num_hidden_layers=0)


def losses(model: object, texts: list[str], **changes: object) -> TextLosses:
    arguments = {"start_token_id": START, "context_tokens": 512, "overlap_tokens": 0} | changes
    return text_losses(model, TOKENIZER, texts, **arguments)


def own_loss(model: object, text: str) -> float:
    """What transformers itself says that a text costs, in nats."""
    ids_1T = torch.tensor([[START, *TOKENIZER.encode(text).ids]])
    with torch.inference_mode():
        return float(model(input_ids=ids_1T, labels=ids_1T).loss) * (ids_1T.shape[1] - 1)


@given(num_inputs=st.integers(0, 70), context=st.integers(1, 20), overlap=st.integers(0, 19))
def test_windows_score_each_position_exactly_once(
    num_inputs: int, context: int, overlap: int
) -> None:
    overlap %= context
    windows = plan_windows(np.array([num_inputs]), context_tokens=context, overlap_tokens=overlap)
    firsts = windows.starts + windows.first_scored
    scored = [np.arange(a, b) for a, b in zip(firsts, windows.stops, strict=True)]
    assert np.concatenate([np.arange(0), *scored]).tolist() == list(range(num_inputs))
    assert ((windows.stops - windows.starts) <= context).all()
    assert (windows.starts[1:] == windows.stops[:-1] - overlap).all()


@settings(max_examples=30, deadline=None)
@given(
    length=st.sampled_from([0, 1, 2, 7, 8, 9, 14, 15, 16, 17, 23, 24, 25, 40]),
    overlap=st.integers(0, 7),
    start=st.sampled_from([None, START]),
)
def test_a_bigram_model_costs_the_same_in_windows_of_any_size(
    length: int, overlap: int, start: int | None
) -> None:
    text = ("The quick brown fox jumps over the lazy dog." * 2)[:length]
    whole = losses(BIGRAM, [text], start_token_id=start)
    cut = losses(BIGRAM, [text], start_token_id=start, context_tokens=8, overlap_tokens=overlap)
    np.testing.assert_allclose(cut.nll_nats, whole.nll_nats, rtol=1e-5)
    assert cut.num_scored_tokens[0] == max(0, length - (start is None))


@pytest.mark.parametrize("batch_tokens", [1, 50, 300, 100_000])
def test_the_batch_and_its_padding_have_no_effect(batch_tokens: int) -> None:
    expected = losses(LLAMA, TEXTS, context_tokens=CONTEXT, overlap_tokens=8)
    found = losses(
        LLAMA, TEXTS, context_tokens=CONTEXT, overlap_tokens=8, batch_tokens=batch_tokens
    )
    np.testing.assert_allclose(found.nll_nats, expected.nll_nats, rtol=1e-5)


def test_a_text_costs_the_same_whatever_its_neighbours() -> None:
    together = losses(LLAMA, TEXTS, context_tokens=CONTEXT, overlap_tokens=8).nll_nats
    alone = [
        losses(LLAMA, [text], context_tokens=CONTEXT, overlap_tokens=8).nll_nats[0]
        for text in TEXTS
    ]
    np.testing.assert_allclose(together, alone, rtol=1e-5)


def test_the_order_of_texts_permutes_their_losses() -> None:
    forward = losses(LLAMA, TEXTS).nll_nats
    backward = losses(LLAMA, TEXTS[::-1]).nll_nats
    np.testing.assert_allclose(backward[::-1], forward, rtol=1e-5)


def test_scoring_twice_gives_the_same_bits() -> None:
    first, second = losses(LLAMA, TEXTS), losses(LLAMA, TEXTS)
    assert first.nll_nats.tobytes() == second.nll_nats.tobytes()


@pytest.mark.parametrize("make", [llama, gpt2, gemma2, cohere])
@pytest.mark.parametrize("text", [TEXTS[0], TEXTS[3], TEXTS[5]])
def test_the_loss_is_the_one_that_transformers_computes(make: object, text: str) -> None:
    model = make()
    # float32 sums in another order differ in the fifth digit at most.
    assert losses(model, [text]).nll_nats[0] == pytest.approx(own_loss(model, text), rel=1e-4)


def test_windows_are_scored_as_if_each_were_run_by_hand() -> None:
    ids = [START, *TOKENIZER.encode("The same text, cut by hand.").ids]
    expected = 0.0
    for start, first, stop in [(0, 0, 16), (10, 6, 26), (20, 6, 27)]:
        inputs, targets = ids[start:stop], ids[start + 1 : stop + 1]
        logits = LLAMA(input_ids=torch.tensor([inputs])).logits[0]
        expected += functional.cross_entropy(
            logits[first:], torch.tensor(targets[first:]), reduction="sum"
        ).item()
    found = losses(LLAMA, ["The same text, cut by hand."], context_tokens=16, overlap_tokens=6)
    assert found.nll_nats[0] == pytest.approx(expected, rel=1e-5)


def test_a_uniform_model_costs_log_v_per_token() -> None:
    model = llama()
    torch.nn.init.zeros_(model.lm_head.weight)
    found = losses(model, TEXTS, context_tokens=CONTEXT, overlap_tokens=4)
    expected = math.log(VOCABULARY) * np.array([len(text.encode()) for text in TEXTS])
    np.testing.assert_allclose(found.nll_nats, expected, rtol=1e-6)


def test_without_a_start_token_the_first_token_is_not_scored() -> None:
    found = losses(LLAMA, ["abc", "a", ""], start_token_id=None)
    assert found.num_scored_tokens.tolist() == [2, 0, 0]
    assert found.num_tokens.tolist() == [3, 1, 0]


def test_bfloat16_changes_a_loss_by_less_than_a_hundredth() -> None:
    exact = losses(LLAMA, TEXTS).nll_nats
    rounded = losses(llama().to(torch.bfloat16), TEXTS).nll_nats
    np.testing.assert_allclose(rounded, exact, rtol=1e-2)


def test_no_texts_have_no_losses() -> None:
    assert losses(LLAMA, []).nll_nats.shape == (0,)


def test_bits_per_byte_of_a_uniform_byte_model_are_eight() -> None:
    found = TextLosses(
        nll_nats=np.array([3 * math.log(256.0), 0.0]),
        num_scored_tokens=np.array([3, 0]),
        num_tokens=np.array([3, 0]),
    )
    assert found.bits_per_byte(np.array([3, 0]))[0] == pytest.approx(8.0, rel=1e-15)
    assert found.perplexity()[0] == pytest.approx(256.0, rel=1e-12)
    assert np.isnan([found.bits_per_byte(np.array([3, 0]))[1], found.perplexity()[1]]).all()


def test_a_perplexity_beyond_float64_is_the_largest_float64() -> None:
    found = TextLosses(
        nll_nats=np.array([1e4]), num_scored_tokens=np.array([1]), num_tokens=np.array([1])
    )
    assert found.perplexity()[0] == np.finfo(np.float64).max


def test_refuses_a_model_that_looks_ahead() -> None:
    config = BertConfig(
        vocab_size=VOCABULARY,
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=64,
        is_decoder=False,
        initializer_range=0.3,
    )
    with pytest.raises(ModelError, match="must be causal"):
        losses(BertLMHeadModel(config).eval(), ["abc"])


def test_refuses_a_loss_that_is_not_a_number() -> None:
    model = llama()
    torch.nn.init.constant_(model.model.layers[1].mlp.down_proj.weight, math.nan)
    with pytest.raises(ModelError, match="must be finite"):
        losses(model, ["abc"])


def test_refuses_a_tokenizer_of_another_model() -> None:
    with pytest.raises(ModelError, match="does not belong"):
        losses(llama(vocab_size=20), ["zzz"], start_token_id=0)


def test_refuses_a_tokenizer_that_truncates() -> None:
    tokenizer = byte_tokenizer()
    tokenizer.enable_truncation(4)
    with pytest.raises(ValueError, match="neither truncate nor pad"):
        text_losses(
            LLAMA, tokenizer, ["a"], start_token_id=None, context_tokens=8, overlap_tokens=0
        )


def test_refuses_a_model_in_training_mode() -> None:
    with pytest.raises(ValueError, match="training mode"):
        losses(llama().train(), ["abc"])


@pytest.mark.parametrize("overlap", [-1, 8])
def test_refuses_an_overlap_that_leaves_nothing_to_score(overlap: int) -> None:
    with pytest.raises(ValueError, match="overlap_tokens"):
        losses(LLAMA, ["abc"], context_tokens=8, overlap_tokens=overlap)
