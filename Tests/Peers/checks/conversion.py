"""A GGUF file as a model directory: tensors, configuration, tokenizer and chat template beside transformers' own import."""

import json

import numpy
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from verdict import Verdict, all_equal, at_most
from workspace import GGUF, TEXT, graft, model, scratch

CHAT = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Who built the ark?"}]


def checks():
    ours = AutoModelForCausalLM.from_pretrained(model("f32"), dtype=torch.float32)
    # transformers dequantizes with the package `gguf` and puts the rows of q and k in order by itself.
    theirs = AutoModelForCausalLM.from_pretrained(GGUF.parent, gguf_file=GGUF.name, dtype=torch.float32)
    expected, found = theirs.state_dict(), ours.state_dict()
    different = [name for name in expected | found if name not in expected or name not in found or not torch.equal(expected[name], found[name])]
    yield all_equal("tensors of the converted GGUF file, bit for bit", different, len(expected))

    stored = load_file(model("bf16") / "model.safetensors")
    different = [name for name, value in stored.items() if value.is_floating_point() and value.dim() > 1 and not torch.equal(value, expected[name].to(torch.bfloat16))]
    yield all_equal("matrices converted to bf16 are rounded once", different, len(stored))

    keys = ["hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads", "vocab_size", "rms_norm_eps", "tie_word_embeddings", "max_position_embeddings", "rope_parameters", "bos_token_id", "eos_token_id"]
    pairs = [(key, getattr(ours.config, key), getattr(theirs.config, key)) for key in keys]
    # GGUF holds numbers in f32; ours are spelled in the shortest way that reads back as the same f32.
    different = [pair for pair in pairs if pair[1] != pair[2] and not (isinstance(pair[1], float) and numpy.float32(pair[1]) == numpy.float32(pair[2]))]
    yield all_equal("config.json", different, len(keys))

    our_tokenizer = AutoTokenizer.from_pretrained(model("f32"))
    their_tokenizer = AutoTokenizer.from_pretrained(GGUF.parent, gguf_file=GGUF.name)
    lines = (TEXT / "revelation.txt").read_text().splitlines()
    different = [line for line in lines if our_tokenizer.encode(line) != their_tokenizer.encode(line)]
    yield all_equal("the converted tokenizer's ids of Revelation", different, len(lines))
    chats = [tokenizer.apply_chat_template(CHAT, tokenize=False, add_generation_prompt=True) for tokenizer in (our_tokenizer, their_tokenizer)]
    yield Verdict("the chat template's text", json.dumps(chats[0])[:60], "equal to transformers'", chats[0] == chats[1])

    peak = graft("convert", GGUF, scratch() / "converted", "--dtype", "bf16", "--quiet").peak_bytes
    yield at_most("memory of converting the GGUF file", peak / 2**20, 128, " MiB")
