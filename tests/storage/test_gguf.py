"""GGUF references: the same losses as the model they were packed from, named by the file."""

import importlib.util
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from samplemix_dagster.core.quality.loss.token_loss import text_losses
from samplemix_dagster.errors import ModelError
from samplemix_dagster.storage.models import gguf as ours
from samplemix_dagster.storage.models.checks import check_reference
from samplemix_dagster.storage.models.files import (
    digest_model,
    digest_tokenizer,
    resolve_model,
    resolve_tokenizer,
)
from samplemix_dagster.storage.models.load import load_reference
from tests.projects import prose, reference_folder

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("gguf") is None, reason="the package gguf is not installed"
)


def permuted(weights: np.ndarray, heads: int) -> np.ndarray:
    """Rotary halves side by side, as the format has them."""
    rows = weights.shape[0] // heads
    split = weights.reshape(heads, 2, rows // 2, *weights.shape[1:])
    return split.swapaxes(1, 2).reshape(weights.shape)


def pack(folder: Path, target: Path) -> Path:
    """Pack a small Llama of ours as a GGUF file, weights in float32."""
    from gguf import GGUFWriter

    loaded = load_reference(folder, "cpu", "float32")
    model: Any = loaded.models[0]
    config, writer = model.config, GGUFWriter(str(target), "llama")
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_dimension_count(config.hidden_size // config.num_attention_heads)
    writer.add_vocab_size(config.vocab_size)
    _pack_tokenizer(writer, folder)
    names = {
        "self_attn.q_proj": "attn_q",
        "self_attn.k_proj": "attn_k",
        "self_attn.v_proj": "attn_v",
        "self_attn.o_proj": "attn_output",
        "mlp.gate_proj": "ffn_gate",
        "mlp.up_proj": "ffn_up",
        "mlp.down_proj": "ffn_down",
        "input_layernorm": "attn_norm",
        "post_attention_layernorm": "ffn_norm",
    }
    weights = {name: tensor.numpy() for name, tensor in model.state_dict().items()}
    writer.add_tensor("token_embd.weight", weights["model.embed_tokens.weight"])
    writer.add_tensor("output_norm.weight", weights["model.norm.weight"])
    for layer in range(config.num_hidden_layers):
        for name, packed in names.items():
            found = weights[f"model.layers.{layer}.{name}.weight"]
            if packed in {"attn_q", "attn_k"}:
                found = permuted(found, config.num_attention_heads)
            writer.add_tensor(f"blk.{layer}.{packed}.weight", np.ascontiguousarray(found))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return target


def _pack_tokenizer(writer: Any, folder: Path) -> None:
    stored = json.loads((folder / "tokenizer.json").read_text())
    vocabulary = sorted(stored["model"]["vocab"].items(), key=lambda entry: entry[1])
    merges = [m if isinstance(m, str) else " ".join(m) for m in stored["model"]["merges"]]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list([token for token, _ in vocabulary])
    writer.add_token_types([3 if number == 0 else 1 for _, number in vocabulary])
    writer.add_token_merges(merges)
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(0)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return pack(reference_folder(), tmp_path_factory.mktemp("gguf") / "tiny.gguf")


def losses(folder: Path) -> list[float]:
    loaded = load_reference(folder, "cpu", "float32")
    texts = [prose(f"text-{n}") for n in range(4)]
    found = text_losses(
        loaded.models[0],
        loaded.tokenizer,
        texts,
        start_token_id=loaded.start_token_id,
        context_tokens=loaded.context_tokens,
        overlap_tokens=0,
    )
    return [float(nats) for nats in found.nll_nats]


def test_an_unpacked_model_loses_what_the_packed_one_lost(file: Path, tmp_path: Path) -> None:
    folder = resolve_model(str(file), None, tmp_path)
    check_reference(folder)
    # Weights are kept in bfloat16, which has eight bits.
    assert losses(folder) == pytest.approx(losses(reference_folder()), rel=0.01)


def test_the_tokenizer_gives_the_same_ids(file: Path, tmp_path: Path) -> None:
    from samplemix_dagster.storage.models.tokenizer import load_tokenizer

    ours, theirs = (
        load_tokenizer(folder)
        for folder in (resolve_tokenizer(str(file), None, tmp_path), reference_folder())
    )
    for text in (prose("a"), "Straße 東京 \U0001f600", "<|endoftext|> is text", "  two  spaces\n"):
        assert ours.encode(text).ids == theirs.encode(text).ids


def test_a_model_is_named_by_its_file_and_unpacked_once(file: Path, tmp_path: Path) -> None:
    first = resolve_model(str(file), None, tmp_path)
    written = {path: path.stat().st_mtime_ns for path in first.rglob("*")}
    assert digest_model(first) == digest_model(file)
    assert resolve_model(str(file), None, tmp_path) == first
    assert {path: path.stat().st_mtime_ns for path in first.rglob("*")} == written
    elsewhere = tmp_path / "other"
    assert digest_model(resolve_model(str(file), None, elsewhere)) == digest_model(file)
    assert digest_tokenizer(first) == digest_tokenizer(resolve_model(str(file), None, elsewhere))
    assert digest_tokenizer(first) != digest_model(first)


def test_a_folder_that_holds_nothing_else_is_that_model(file: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "tiny.gguf").write_bytes(file.read_bytes())
    assert digest_model(resolve_model(str(folder), None, tmp_path)) == digest_model(file)
    (folder / "other.gguf").write_bytes(file.read_bytes())
    with pytest.raises(ModelError, match=r"several GGUF files, other\.gguf, tiny\.gguf"):
        resolve_model(str(folder), None, tmp_path)


@pytest.mark.parametrize("cut", [0, 3, 100, 5000, -1000])
def test_a_file_that_is_not_whole_is_a_sentence(file: Path, tmp_path: Path, cut: int) -> None:
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(file.read_bytes()[:cut])
    with pytest.raises(ModelError, match=r"broken\.gguf"):
        resolve_model(str(broken), None, tmp_path)
    assert not list((tmp_path / ".samplemix/models").glob(".*"))


def test_without_the_packages_it_is_said_what_to_install(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ours, "_PACKAGES", ("no_such_package",))
    with pytest.raises(ModelError, match=r"samplemix-dagster\[gguf\]"):
        resolve_model(str(file), None, tmp_path)


def test_a_note_in_a_folder_of_ones_own_gives_no_digest(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "gguf.json").write_text(json.dumps({"digest": "0" * 32}))
    assert digest_model(folder) != "0" * 32
