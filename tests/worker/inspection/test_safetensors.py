"""Weights without a model are refused kindly: by the name of their architecture, where it is told beside them."""

import json
import struct
from pathlib import Path

import pytest

from tests.worker.inspection.malice import zipped
from tests.worker.inspection.test_onnx_external import refused

WEIGHTS = struct.pack("<Q", 30) + b'{"w":{"dtype":"F32","shape":[]}' + bytes(8)
BERT = json.dumps({"architectures": ["BertForSequenceClassification"], "model_type": "bert"}).encode()


@pytest.mark.parametrize(
    ("config", "words", "advice"),
    [
        (BERT, "BertForSequenceClassification", "optimum-cli"),
        (b'{"architectures": ["LlamaForCausalLM"], "model_type": "llama"}', "LlamaForCausalLM", "server of their own"),
        (b'{"_class_name": "UNet2DConditionModel", "_diffusers_version": "0.35"}', "UNet2DConditionModel", "this part"),
        (b'{"architectures": ["<script>"]}', "holds weights", "export the whole"),
        (b'{"architectures": []}', "holds weights", "export the whole"),
        (b"[" * 100_000, "holds weights", "export the whole"),
    ],
)
def test_the_architecture_is_named(config: bytes, words: str, advice: str, tmp_path: Path) -> None:
    refusal = refused(tmp_path, {"bert/model.safetensors": WEIGHTS, "bert/config.json": config, "bert/vocab.txt": b"a"})
    assert words in str(refusal.reason)
    assert advice in str(refusal.advice)


def test_weights_in_several_files_are_one_model(tmp_path: Path) -> None:
    shards = {f"m/model-0000{n}-of-00002.safetensors": WEIGHTS for n in (1, 2)}
    refusal = refused(tmp_path, {"m.zip": zipped({**shards, "m/config.json": BERT})})
    assert "BertForSequenceClassification" in str(refusal.reason)


def test_the_description_of_another_folder_says_nothing(tmp_path: Path) -> None:
    refusal = refused(tmp_path, {"a/model.safetensors": WEIGHTS, "b/config.json": BERT})
    assert "Bert" not in str(refusal.reason)
