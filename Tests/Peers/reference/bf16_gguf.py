"""Writes a GGUF file's weights anew in bf16, by the `gguf` package: what llama.cpp generates from beside Graft's bf16 weights.

    bf16_gguf.py SOURCE TARGET
"""

import sys

import gguf
import numpy

source, target = sys.argv[1:]
BF16 = gguf.GGMLQuantizationType.BF16
OWN = ("GGUF.", "general.architecture", "general.file_type", "general.quantization_version")

reader = gguf.GGUFReader(source)
writer = gguf.GGUFWriter(target, reader.fields["general.architecture"].contents())
for field in reader.fields.values():
    if field.name.startswith(OWN):
        continue
    if field.types[0] == gguf.GGUFValueType.ARRAY:
        writer.add_array(field.name, field.contents())
    else:
        writer.add_key_value(field.name, field.contents(), field.types[0])
for tensor in reader.tensors:
    values = gguf.quants.dequantize(tensor.data, tensor.tensor_type).astype(numpy.float32)
    if values.ndim == 1:
        writer.add_tensor(tensor.name, values)
    else:
        writer.add_tensor(tensor.name, gguf.quants.quantize(values, BF16), raw_dtype=BF16)
writer.write_header_to_file()
writer.write_kv_data_to_file()
writer.write_tensors_to_file()
writer.close()
