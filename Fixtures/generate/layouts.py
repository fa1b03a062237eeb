"""Writes Fixtures/golden/layouts: adapters and packed weights as the libraries write them whose layouts `graft inspect` knows.

Run from the repository's root with the peers' environment and requirements-layouts.txt.
"""

import hashlib
import json
import pathlib
import shutil
import struct

import diffusers
import gguf
import lycoris
import mlx.core as mx
import mlx_lm
import numpy
import torch
from diffusers import StableDiffusionPipeline, UNet2DConditionModel
from diffusers.utils.state_dict_utils import convert_state_dict_to_kohya
from mlx.utils import tree_flatten
from mlx_lm.models import llama
from mlx_lm.tuner.utils import linear_to_lora_layers
from mlx_lm.utils import quantize_model, save_config, save_model
from peft import LoraConfig
from peft.utils import get_peft_model_state_dict
from safetensors.torch import save_file

OUT = pathlib.Path(__file__).resolve().parents[2] / "Fixtures" / "golden" / "layouts"
RANK, ALPHA = 4, 8


# --- MLX ---------------------------------------------------------------------------------------------------------------

CONFIG = {
    "model_type": "llama", "architectures": ["LlamaForCausalLM"], "hidden_size": 64, "num_hidden_layers": 2,
    "intermediate_size": 64, "num_attention_heads": 2, "num_key_value_heads": 1, "rms_norm_eps": 1e-5,
    "vocab_size": 64, "tie_word_embeddings": True,
}


def mlx_model():
    mx.random.seed(7)
    model = llama.Model(llama.ModelArgs.from_dict(CONFIG))
    mx.eval(model.parameters())
    return model


def mlx():
    """A model of packed weights, and adapters, written by the calls that mlx_lm.convert and mlx_lm.lora make."""
    model, config = quantize_model(mlx_model(), dict(CONFIG), group_size=32, bits=4)
    save_model(OUT / "mlx-model", model)
    save_config(config, OUT / "mlx-model" / "config.json")
    for name, kind, keys in (("mlx-lora", "lora", ["self_attn.q_proj", "self_attn.v_proj"]), ("mlx-dora", "dora", ["self_attn.q_proj"])):
        model = mlx_model()
        model.freeze()
        parameters = {"rank": RANK, "scale": 20.0, "dropout": 0.0, "keys": keys}
        linear_to_lora_layers(model, 1, parameters, use_dora=kind == "dora")
        directory = OUT / name
        directory.mkdir()
        arguments = {"model": "tiny-llama", "fine_tune_type": kind, "num_layers": 1, "lora_parameters": parameters, "seed": 0}
        save_config(arguments, directory / "adapter_config.json")
        mx.save_safetensors(str(directory / "adapters.safetensors"), dict(tree_flatten(model.trainable_parameters())))


# --- diffusers, kohya ----------------------------------------------------------------------------------------------------


def unet_layers():
    torch.manual_seed(7)
    unet = UNet2DConditionModel(
        sample_size=8, in_channels=4, out_channels=4, layers_per_block=1, block_out_channels=(8, 16), norm_num_groups=4,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"), up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=16, attention_head_dim=4)
    config = LoraConfig(r=RANK, lora_alpha=ALPHA, target_modules=["to_q", "to_v"], init_lora_weights="gaussian")
    unet.add_adapter(config)
    return {key: value.detach().clone() for key, value in get_peft_model_state_dict(unet).items()}, config


def trainer_metadata(state):
    """What sd-scripts adds; the hash is that of all tensor bytes."""
    names = sorted(state)  # one dtype: safetensors keeps the order of names
    data = b"".join(state[name].contiguous().numpy().tobytes() for name in names)
    return {
        "ss_network_module": "networks.lora", "ss_network_dim": str(RANK), "ss_network_alpha": str(float(ALPHA)),
        "ss_base_model_version": "sd_v1", "ss_sd_model_name": "v1-5.safetensors", "ss_network_args": "{}",
        "ss_tag_frequency": json.dumps({"10_cat": {"cat": 10, "sitting": 4}}), "sshs_model_hash": hashlib.sha256(data).hexdigest(),
    }


def pipelines():
    layers, config = unet_layers()
    for name, metadata in (("diffusers", None), ("diffusers-metadata", config.to_dict())):
        if metadata is not None:
            metadata = {key: value for key, value in metadata.items() if isinstance(value, (int, float, str, bool)) or value is None}
        StableDiffusionPipeline.save_lora_weights(
            OUT, unet_lora_layers=layers, unet_lora_adapter_metadata=metadata, weight_name=f"{name}.safetensors")
    peft = {f"unet.{key}": value for key, value in layers.items()}
    state = {key: value.contiguous() for key, value in convert_state_dict_to_kohya(peft).items()}
    # diffusers writes the rank as alpha; sd-scripts the alpha that it trained with.
    state = {key: torch.tensor(float(ALPHA)) if key.endswith(".alpha") else value.float() for key, value in state.items()}
    save_file(state, OUT / "kohya.safetensors", trainer_metadata(state))
    # A resized network: another rank and alpha where the module is small.
    for key in [key for key in state if "_mid_block_" in key]:
        if key.endswith(".alpha"):
            state[key] = torch.tensor(2.0)
        elif key.endswith(".lora_down.weight"):
            state[key] = state[key][:2].clone()
        else:
            state[key] = state[key][:, :2].clone()
    metadata = trainer_metadata(state) | {"ss_network_dim": "Dynamic", "ss_network_alpha": "Dynamic"}
    save_file(state, OUT / "kohya-resized.safetensors", metadata)


def algorithms():
    for algorithm in ("loha", "lokr"):
        torch.manual_seed(7)
        module = torch.nn.Sequential(torch.nn.Linear(64, 64), torch.nn.Linear(64, 32))
        network = lycoris.create_lycoris(module, 1.0, linear_dim=RANK, linear_alpha=2.0, algo=algorithm, factor=4)
        network.apply_to()
        network.save_weights(str(OUT / f"lycoris-{algorithm}.safetensors"), torch.float32, {"ss_network_module": "lycoris.kohya"})


# --- GGUF --------------------------------------------------------------------------------------------------------------


def adapter_gguf():
    """The keys and tensors of llama.cpp's convert_lora_to_gguf.py."""
    writer = gguf.GGUFWriter(OUT / "adapter.gguf", "llama")
    writer.add_type(gguf.GGUFType.ADAPTER)
    writer.add_string(gguf.Keys.Adapter.TYPE, "lora")
    writer.add_float32(gguf.Keys.Adapter.LORA_ALPHA, float(ALPHA))
    random = numpy.random.default_rng(7)
    for layer in range(2):
        for name, width in (("attn_q", 16), ("attn_v", 8)):
            writer.add_tensor(f"blk.{layer}.{name}.weight.lora_a", random.standard_normal((RANK, 16), dtype=numpy.float32))
            writer.add_tensor(f"blk.{layer}.{name}.weight.lora_b", random.standard_normal((width, RANK), dtype=numpy.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def damaged():
    """A kohya file in which one byte of a tensor changed, which its hash tells."""
    content = bytearray((OUT / "kohya.safetensors").read_bytes())
    (length,) = struct.unpack("<Q", content[:8])
    content[8 + length + 40] ^= 1
    (OUT / "kohya-changed.safetensors").write_bytes(content)


if __name__ == "__main__":
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir(parents=True)
    mlx()
    pipelines()
    algorithms()
    adapter_gguf()
    damaged()
