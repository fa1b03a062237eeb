"""Converts weights the Python way: `gguf` and safetensors, or `gguf`'s quantizer, and `libgguf`'s for the K types. Settings are one JSON object."""

import json
import sys

import gguf
import numpy
import torch
from safetensors import safe_open
from safetensors.torch import save_file

settings = json.loads(sys.argv[1])
torch.set_num_threads(settings["threads"])
if settings["kind"] == "bf16":
    tensors = {}
    for tensor in gguf.GGUFReader(settings["source"]).tensors:
        values = gguf.quants.dequantize(tensor.data, tensor.tensor_type)
        tensors[tensor.name] = torch.from_numpy(values.copy()).to(torch.bfloat16)
    save_file(tensors, settings["output"])
else:
    kind = gguf.GGMLQuantizationType[settings["kind"].removesuffix("_m").upper()]
    block = gguf.GGML_QUANT_SIZES[kind][0]
    writer = gguf.GGUFWriter(settings["output"], "llama", use_temp_file=False)
    with safe_open(settings["source"], "pt") as source:
        for name in source.keys():
            values = source.get_tensor(name).float().numpy()
            if values.ndim < 2:
                writer.add_tensor(name, values)
            elif block == 32:
                writer.add_tensor(name, gguf.quants.quantize(values, kind), raw_dtype=kind)
            elif values.shape[1] % block == 0:
                import libgguf._libgguf as reference

                rows = numpy.frombuffer(reference.quantize_rows_raw(int(kind), values, values.shape[0], values.shape[1], None), numpy.uint8)
                writer.add_tensor(name, rows.reshape(values.shape[0], -1), raw_dtype=kind)
            else:  # the width has no whole blocks of 256: the type that stands in, as Graft's and llama.cpp's
                other = {"Q4_K": "Q5_0", "Q5_K": "Q5_1", "Q6_K": "Q8_0"}[kind.name]
                other = gguf.GGMLQuantizationType[other]
                writer.add_tensor(name, gguf.quants.quantize(values, other), raw_dtype=other)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
