"""GGUF files that Graft writes, read by the `gguf` package, by transformers and by llama.cpp itself, which the package `xllamacpp` has built."""

import functools
import json
import shutil

import gguf
import libgguf._libgguf as reference
import numpy
import torch
from gguf import GGMLQuantizationType as Type
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer, Gemma3TextConfig, GPT2Config, LlamaConfig, Qwen2Config, Qwen3Config

from checks.logits import graft_logits
from verdict import Verdict, all_equal, at_most
from workspace import ROOT, TEXT, THREADS, graft, model, scratch
from workspace import reference as reference_run

PLAIN = ["f32", "f16", "bf16"]
SIMPLE = ["q8_0", "q4_0", "q4_1", "q5_0", "q5_1"]
MIXTURES = ["q4_k_s", "q4_k_m", "q5_k_s", "q5_k_m", "q6_k"]
PROMPT, COUNT = "Once upon a time there was", 24
IDS = list(range(5, 1445, 15))

SHAPE = dict(vocab_size=2048, hidden_size=256, intermediate_size=512, num_hidden_layers=8, num_attention_heads=4, num_key_value_heads=2,
             max_position_embeddings=512, bos_token_id=0, eos_token_id=0, tie_word_embeddings=False)
FAMILIES = {
    "llama": LlamaConfig(**SHAPE, rope_parameters={"rope_type": "llama3", "rope_theta": 5e5, "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
                                                   "original_max_position_embeddings": 8192}),
    "qwen2": Qwen2Config(**SHAPE),
    "qwen3": Qwen3Config(**SHAPE, head_dim=128),
    "gemma3": Gemma3TextConfig(**SHAPE | {"tie_word_embeddings": True}, head_dim=64, query_pre_attn_scalar=64, sliding_window=24,
                               layer_types=["sliding_attention", "sliding_attention", "full_attention"] * 2 + ["sliding_attention"] * 2),
    "gpt2": GPT2Config(vocab_size=2048, n_embd=256, n_layer=8, n_head=4, n_positions=1024, bos_token_id=0, eos_token_id=0),
}


@functools.cache
def source(family: str):
    """A small model with random weights, vectors and norms among them, and the fixture's tokenizer."""
    folder = scratch() / f"random-{family}"
    torch.manual_seed(7)
    peer = AutoModelForCausalLM.from_config(FAMILIES[family], dtype=torch.float32)
    with torch.no_grad():
        for name, parameter in peer.named_parameters():
            if parameter.dim() == 1:
                parameter.add_(torch.randn_like(parameter) * 0.1)
            else:
                parameter.mul_(2)
    peer.save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(ROOT / "Fixtures" / "model" / name, folder / name)
    return folder


@functools.cache
def written(directory, kind: str):
    target = scratch() / f"{directory.name}-{kind}.gguf"
    graft("convert", directory, target, "--dtype", kind, "--allow-loss", "--quiet")
    return target


def paired(values: numpy.ndarray, heads: int) -> numpy.ndarray:
    """The rows of queries or keys as the llama architecture of GGUF has them."""
    return values.reshape(heads, 2, values.shape[0] // heads // 2, *values.shape[1:]).swapaxes(1, 2).reshape(values.shape)


def blocks():
    """Each type's tensors: the bytes of the `gguf` package's quantizer, or an error not above the reference's."""
    folder = source("llama")
    weights = load_file(folder / "model.safetensors")
    names = {"token_embd": "model.embed_tokens", "output": "lm_head"} | {
        f"blk.{layer}.{ours}": f"model.layers.{layer}.{theirs}" for layer in range(8) for ours, theirs in
        [("attn_q", "self_attn.q_proj"), ("attn_k", "self_attn.k_proj"), ("attn_v", "self_attn.v_proj"), ("attn_output", "self_attn.o_proj"), ("ffn_gate", "mlp.gate_proj"),
         ("ffn_up", "mlp.up_proj"), ("ffn_down", "mlp.down_proj")]}
    for kind in PLAIN + SIMPLE + MIXTURES:
        different, farther, compared = [], [], 0
        for tensor in gguf.GGUFReader(written(folder, kind)).tensors:
            name = names.get(tensor.name.removesuffix(".weight"))
            if name is None:
                continue
            compared += 1
            values = weights[name + ".weight"].numpy()
            if tensor.name.endswith(("attn_q.weight", "attn_k.weight")):
                values = paired(values, 4 if "attn_q" in tensor.name else 2)
            if tensor.tensor_type in (Type.Q4_K, Type.Q5_K, Type.Q6_K):
                theirs = numpy.frombuffer(reference.quantize_rows_raw(int(tensor.tensor_type), values, values.shape[0], values.shape[1], None), numpy.uint8)
                theirs = gguf.quants.dequantize(theirs.reshape(values.shape[0], -1), tensor.tensor_type)
                ours = gguf.quants.dequantize(tensor.data, tensor.tensor_type)
                if numpy.linalg.norm(ours - values) > numpy.linalg.norm(theirs - values):
                    farther.append(tensor.name)
            elif not numpy.array_equal(tensor.data, gguf.quants.quantize(values, tensor.tensor_type)):
                different.append(tensor.name)
        yield all_equal(f"matrices written as {kind}, bytes of the gguf package or closer than libgguf", different + farther, compared)


def imports():
    """What transformers makes of our files, which it reads with code of its own."""
    for family in FAMILIES:
        folder = source(family)
        file = written(folder, "f32")
        theirs = AutoModelForCausalLM.from_pretrained(file.parent, gguf_file=file.name, dtype=torch.float32).state_dict()
        ours = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).state_dict()
        # Gemma's norms are held as 1 + w, rounded.
        limit = 1e-6 if family == "gemma3" else 0
        different = [name for name in ours if name not in theirs or (ours[name] - theirs[name]).abs().max() > limit]
        yield all_equal(f"{family} imported by transformers from GGUF", different, len(ours))
        lines = (TEXT / "revelation.txt").read_text().splitlines()[:100]
        ours, theirs = AutoTokenizer.from_pretrained(folder), AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name)
        different = [line for line in lines if ours.encode(line, add_special_tokens=False) != theirs.encode(line, add_special_tokens=False)]
        yield all_equal(f"{family}'s tokenizer imported by transformers from GGUF", different, len(lines))


def real():
    directory = model("bf16")
    target = scratch() / "smollm2-q4_k_m.gguf"
    run = graft("convert", directory, target, "--dtype", "q4_k_m", "--quiet")
    yield at_most("memory of quantizing SmolLM2", run.peak_bytes / 2**20, 128, " MiB")
    fields = gguf.GGUFReader(target).fields
    tokenizer = json.loads((directory / "tokenizer.json").read_text())
    tokens = fields["tokenizer.ggml.tokens"].contents()
    different = [token for token, place in tokenizer["model"]["vocab"].items() if tokens[place] != token]
    yield all_equal("SmolLM2's tokens in GGUF", different, len(tokens))
    template = json.loads((directory / "tokenizer_config.json").read_text())["chat_template"]
    yield Verdict("SmolLM2's chat template in GGUF", "the text", "equal", fields["tokenizer.chat_template"].contents() == template)


def continued(file, prompt, count: int):
    return json.loads(reference_run("llama_continue.py", model=file, prompt=prompt, count=count, threads=THREADS).output)


def llama_cpp():
    """llama.cpp loads every type and family, and goes on as Graft does from that very file."""
    for kind in PLAIN:
        file, again = written(model("bf16"), kind), scratch() / f"smollm2-from-{kind}"
        graft("convert", file, again, "--dtype", "f32", "--quiet")
        ours = json.loads(graft("generate", again, "--prompt", PROMPT, "--max-tokens", COUNT, "--compute", "f32", "--json").output)["tokens"]
        theirs = continued(file, PROMPT, COUNT)["ids"]
        yield Verdict(f"{COUNT} tokens of SmolLM2 as {kind} by llama.cpp", str(theirs[:4]), "equal to Graft's", theirs == ours[-COUNT:])
    jobs = [("llama", kind) for kind in PLAIN + SIMPLE + MIXTURES] + [(family, kind) for family in FAMILIES if family != "llama" for kind in ("f32", "q8_0", "q4_k_m")]
    for family, kind in jobs:
        folder = source(family)
        file, again = written(folder, kind), scratch() / f"{family}-from-{kind}"
        graft("convert", file, again, "--dtype", "f32", "--quiet")
        logits = graft_logits(again, IDS)[-1].double()
        ours = logits.log_softmax(0)
        likeliest = continued(file, IDS, 1)["first"]
        distance = (sum((ours[id].item() - theirs) ** 2 for id, theirs in likeliest) / len(likeliest)) ** 0.5 / logits.std().item()
        # llama.cpp keeps keys and values in f16, each rounded by at most 2^-11: √16 times that over eight blocks, 2e-3. With f16 and bf16 it rounds what it multiplies to the weights' type, by up to 2^-9 for
        # bf16 and √32 times over eight blocks of four products in a row, 1.1e-2. With blocks it rounds that to 8 bits, a step a 127th of the largest of 32 or 256 values, which is about three deviations:
        # 3 / (127 · √12) = 0.7 % of their size, √32 times that is 4 %, and half as much again for what isn't normal.
        bound = {"f32": 2e-3, "f16": 1e-2, "bf16": 2e-2}.get(kind, 6e-2)
        yield at_most(f"likeliest tokens by llama.cpp, {family} as {kind}: distance of log-probabilities", distance, bound, " of the logits' deviation")


def checks():
    yield from blocks()
    yield from imports()
    yield from real()
    yield from llama_cpp()
