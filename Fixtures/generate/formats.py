"""Writes the vectors of Formats/safetensors, Formats/shard-index and Formats/word-vectors, and the golden files of
Fixtures/golden/{safetensors,shards,word-vectors}.

Run from the repository's root with safetensors 0.8.0, torch 2.13.0, huggingface_hub 2.4.0, gensim 4.4.0.
"""

import json
import pathlib
import shutil
import struct
import sys
from decimal import Decimal, localcontext
from fractions import Fraction
from random import Random

import numpy
import safetensors
import torch
from gensim.models import KeyedVectors
from huggingface_hub import save_torch_state_dict, split_state_dict_into_shards_factory
from safetensors.torch import save_file

ROOT = pathlib.Path(__file__).resolve().parents[2]
FORMATS = ROOT / "Formats"
GOLDEN = ROOT / "Fixtures" / "golden"


def fresh(path):
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(parents=True)
    return path


# --- safetensors vectors ---------------------------------------------------------------------------------------------


def framed(header, data=b"", length=None):
    """The bytes of a file; `header` is text, bytes, or a value to be dumped."""
    if not isinstance(header, (str, bytes)):
        header = json.dumps(header, separators=(",", ":"))
    if isinstance(header, str):
        header = header.encode()
    return struct.pack("<Q", len(header) if length is None else length) + header + data


def tensor(dtype, shape, begin, end, **more):
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end], **more}


def safetensors_vectors():
    """Yields (verdict, name, bytes, rule, text the error points at or a byte)."""
    f32 = lambda b, e, shape=(4,): tensor("F32", list(shape), b, e)
    sixteen = bytes(range(16))
    one = '{"a":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}}'

    # S-1, S-2, S-3: the length
    for n in (0, 1, 7):
        yield "reject", f"length-{n}-bytes", bytes(n), "safetensors S-1", 0
    yield "reject", "length-without-header", struct.pack("<Q", 60), "safetensors S-3", 8
    for name, n in (("limit", 100_000_001), ("sign", 1 << 63), ("all", (1 << 64) - 1)):
        yield "reject", f"length-{name}", struct.pack("<Q", n) + b"{}", "safetensors S-2", 0
    yield "reject", "length-upstream", b"<\0\0\0\0\xff\xff\xff", "safetensors S-2", 0
    yield "reject", "length-off-by-one", framed(one, b"", len(one) + 1), "safetensors S-3", 8
    yield "reject", "length-gguf-magic", b"GGUF\x03\0\0\0" + bytes(64), "safetensors S-2", 0
    yield "reject", "length-zip-magic", b"PK\x03\x04\x14\0\0\0" + bytes(64), "safetensors S-2", 0

    # S-4: the JSON text
    for name, text, rule, at in (
        ("none", b"", "json J-3", 8), ("byte-ff", b"\xff", "json J-4", 8),
        ("overlong", b'{"\xc0\x80":1}', "json J-1", 10), ("cesu", b'{"\xed\xa0\x80":1}', "json J-1", 10),
        ("cut-sequence", b'{"\xe2\x82":1}', "json J-1", 10), ("open", b"{", "json J-5", 9),
        ("array", b"[]", "safetensors S-4", 8), ("null", b"null", "safetensors S-4", 8),
        ("string", b'"x"', "safetensors S-4", 8), ("after", b"{}x", "json J-3", 10),
        ("two", b"{}{}", "json J-3", 10), ("nul-padding", b"{}\0\0", "json J-3", 10),
        ("bom", b"\xef\xbb\xbf{}", "json J-2", 8), ("lone-surrogate", rb'{"\ud800":1}', "json J-10", 10),
        ("trailing-comma", one.replace("}}", "},}").encode(), "json J-5", 8 + len(one)),
    ):
        yield "reject", f"json-{name}", framed(text), rule, at
    for name, text in (
        ("empty-object", "{}"), ("leading-space", " \t\r\n{}"), ("trailing-space", "{} \t\r\n"),
        ("metadata-only", '{"__metadata__":{"format":"pt"}}'), ("metadata-empty", '{"__metadata__":{}}'),
    ):
        yield "accept", f"json-{name}", framed(text), None, None

    # S-5: metadata
    for name, value in (("number", '{"a":1}'), ("null-value", '{"a":null}'), ("nested", '{"a":{}}'),
                        ("array", "[]")):
        text = '{"__metadata__":' + value + "}"
        at = text.index(value) + (value.index(":") + 1 if ":" in value else 0)
        yield "reject", f"metadata-{name}", framed(text), "safetensors S-5", 8 + at
    yield "reject", "metadata-is-tensor", framed(
        '{"__metadata__":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}', b"x"), "safetensors S-5", "[1]"
    yield "accept", "metadata-null", framed('{"__metadata__":null}'), None, None
    yield "accept", "metadata-escapes", framed(
        {"__metadata__": {"": "\0\x1f\"\\\u2028", "é": "e\u0301"}}), None, None

    # json J-11: repeated names
    field = '{"dtype":"F32","shape":[2],"data_offsets":[%d,%d]}'
    first, second = field % (0, 8), field % (8, 16)
    for name, text, at in (
        ("tensor", f'{{"a":{first},"a":{second}}}', 2), ("tensor-same", f'{{"a":{first},"a":{first}}}', 2),
        ("tensor-escaped", f'{{"a":{first},"\\u0061":{second}}}', None),
        ("metadata", '{"__metadata__":{},"__metadata__":{}}', 2),
        ("metadata-key", '{"__metadata__":{"k":"1","k":"2"}}', 2),
        ("field", '{"a":{"dtype":"F32","dtype":"F32","shape":[2],"data_offsets":[0,8]}}', 2),
        ("extra-field", '{"a":{"x":1,"dtype":"F32","shape":[2],"x":2,"data_offsets":[0,8]}}', 2),
    ):
        mark = {"tensor": '"a"', "tensor-same": '"a"', "tensor-escaped": '"\\u0061"', "metadata": '"__metadata__"',
                "metadata-key": '"k"', "field": '"dtype"', "extra-field": '"x"'}[name]
        yield "reject", f"repeated-{name}", framed(text, sixteen if "tensor" in name else sixteen[:8]), "json J-11", 8 + text.rindex(mark) + 1
    yield "accept", "names-equivalent", framed(
        {"é": f32(0, 16), "e\u0301": f32(16, 32)}, sixteen * 2), None, None
    names = ["", "\0", "../../etc/passwd", "\u202egnp.exe", "n" * 4096, "a/b.c"]
    yield "accept", "names-odd", framed(
        {name: f32(i * 16, i * 16 + 16) for i, name in enumerate(names)}, sixteen * 6), None, None

    # S-6: the fields
    for name, text in (("number", '{"a":1}'), ("array", '{"a":[]}'), ("none", '{"a":{}}'),
                       ("no-dtype", '{"a":{"shape":[],"data_offsets":[0,0]}}'),
                       ("no-shape", '{"a":{"dtype":"U8","data_offsets":[0,1]}}'),
                       ("no-offsets", '{"a":{"dtype":"U8","shape":[1]}}')):
        yield "reject", f"fields-{name}", framed(text, b"x"), "safetensors S-6", 8 + 5
    yield "accept", "fields-more", framed(
        {"a": {"before": {"x": [1, {}]}, **tensor("U8", [1], 0, 1), "after": None}}, b"x"), None, None

    # S-7: dtypes
    for name, dtype in (("unknown", "F33"), ("lower", "f32"), ("empty", ""), ("ggml", "Q4_0")):
        yield "reject", f"dtype-{name}", framed({"a": tensor(dtype, [4], 0, 16)}, sixteen), "safetensors S-7", f'{dtype}","shape'
    yield "reject", "dtype-number", framed('{"a":{"dtype":7,"shape":[],"data_offsets":[0,4]}}', bytes(4)), "safetensors S-7", "7"
    bits = dict(BOOL=8, F4=4, F6_E2M3=6, F6_E3M2=6, U8=8, I8=8, F8_E5M2=8, F8_E4M3=8, F8_E8M0=8, F8_E4M3FNUZ=8,
                F8_E5M2FNUZ=8, I16=16, U16=16, F16=16, BF16=16, I32=32, U32=32, F32=32, C64=64, F64=64, I64=64, U64=64)
    header, at = {}, 0
    for dtype, width in bits.items():
        header[dtype.lower()] = tensor(dtype, [2, 4], at, at + width)
        at += width
    yield "accept", "dtype-all", framed(header, bytes(i % 251 for i in range(at))), None, None

    # S-8: shapes
    for name, shape in (("negative", "[-1]"), ("minus-zero", "[-0]"), ("float", "[4.0]"), ("exponent", "[4e0]"), ("huge", "[1e400]"),
                        ("2-to-64", "[18446744073709551616]"), ("string", '["4"]'), ("nested", "[[4]]"), ("null", "[null]")):
        text = '{"a":{"dtype":"F32","shape":%s,"data_offsets":[0,16]}}' % shape
        yield "reject", f"shape-{name}", framed(text, sixteen), "safetensors S-8", 8 + text.index(shape) + 1 + (name == "string")
    yield "reject", "shape-number", framed('{"a":{"dtype":"F32","shape":4,"data_offsets":[0,16]}}', sixteen), "safetensors S-8", '4,"data'
    yield "reject", "shape-rank", framed({"a": tensor("U8", [1] * 65, 0, 1)}, b"x"), "safetensors S-8", 'a":'
    yield "accept", "shape-rank-64", framed({"a": tensor("U8", [1] * 64, 0, 1)}, b"x"), None, None
    yield "accept", "shape-scalar", framed({"a": f32(0, 4, ())}, bytes(4)), None, None
    yield "accept", "shape-zero", framed(
        {"a": f32(0, 0, (2, 0)), "b": f32(0, 16), "c": f32(16, 16, (0,)), "d": f32(16, 32), "e": f32(32, 32, (0, 3))},
        sixteen * 2), None, None
    yield "accept", "shape-zero-then-huge", framed({"a": f32(0, 0, (0, (1 << 63) - 1))}), None, None
    yield "reject", "shape-zero-then-2-to-64", framed({"a": f32(0, 0, (0, (1 << 64) - 1))}), "safetensors S-8", "18446744073709551615"
    yield "reject", "shape-huge-then-zero", framed({"a": f32(0, 0, ((1 << 63) - 1, (1 << 63) - 1, 0))}), "safetensors S-10", 'a":'

    # S-9: offsets
    for name, offsets in (("one", "[0]"), ("three", "[0,8,16]"), ("reversed", "[16,0]")):
        text = '{"a":{"dtype":"F32","shape":[4],"data_offsets":%s}}' % offsets
        yield "reject", f"offsets-{name}", framed(text, sixteen), "safetensors S-9", 8 + 5
    for name, offsets in (("negative", "[-1,15]"), ("float", "[0.0,16]"), ("exponent", "[0e1,16]"), ("string", '["0",16]'),
                          ("2-to-64", "[18446744073709551616,18446744073709551632]")):
        text = '{"a":{"dtype":"F32","shape":[4],"data_offsets":%s}}' % offsets
        yield "reject", f"offsets-{name}", framed(text, sixteen), "safetensors S-9", 8 + text.index(offsets) + 1 + (name == "string")
    yield "reject", "offsets-object", framed('{"a":{"dtype":"F32","shape":[4],"data_offsets":{}}}', sixteen), "safetensors S-9", "{}}}"

    # S-10: sizes that overflow, sizes that aren't whole bytes
    for name, dtype, shape, end in (
        ("upstream-1", "F32", [2, (1 << 63) - 1], 16), ("product", "F32", [1 << 32, 1 << 32], 16),
        ("wraps-to-size", "F32", [4194305, 4194305, 211106198978564], 16), ("bytes", "F64", [1 << 62], 16),
    ):
        yield "reject", f"overflow-{name}", framed({"a": tensor(dtype, shape, 0, end)}, sixteen), "safetensors S-10", 'a":'
    yield "reject", "overflow-upstream-2", framed({"a": f32(0, 16, (2, (1 << 64) - 2))}, sixteen), "safetensors S-8", "18446744073709551614"
    yield "reject", "partial-f4", framed({"a": tensor("F4", [3], 0, 2)}, b"xx"), "safetensors S-10", 'a":'
    yield "reject", "partial-f6", framed({"a": tensor("F6_E2M3", [2], 0, 2)}, b"xx"), "safetensors S-10", 'a":'

    # S-11, S-12, S-13: the tensors and the buffer
    yield "reject", "size-upstream", framed({"a": tensor("I32", [2, 2], 0, 4)}, bytes(4)), "safetensors S-11", 'a":'
    yield "reject", "hole-start", framed({"a": f32(4, 20)}, sixteen + bytes(4)), "safetensors S-12", 'a":'
    yield "reject", "hole-middle", framed({"a": f32(0, 16), "b": f32(20, 36)}, bytes(36)), "safetensors S-12", 'b":'
    yield "reject", "hole-zero-tensor", framed({"a": f32(0, 16), "b": f32(99, 99, (0,))}, sixteen), "safetensors S-12", 'b":'
    yield "reject", "overlap-partial", framed({"a": f32(0, 16), "b": f32(8, 24)}, bytes(24)), "safetensors S-12", 'b":'
    yield "reject", "overlap-ten", framed({f"t{i}": f32(0, 16) for i in range(10)}, sixteen), "safetensors S-12", 't1":'
    yield "reject", "offsets-absolute", framed({"a": f32(62, 78)}, sixteen), "safetensors S-12", 'a":'
    for missing in (1, 2):
        yield "reject", f"data-{missing}-short", framed(one, sixteen[:-missing]), "safetensors S-13", None
    for name, tail in (("polyglot", b"extra_bogus_data_for_polyglot_file"), ("zip", b"PK\x05\x06" + bytes(18)),
                       ("pdf", b"%PDF-1.4\n%%EOF"), ("hdf5", b"\x89HDF\r\n\x1a\n"), ("byte", b"\0")):
        yield "reject", f"trailing-{name}", framed(one, sixteen + tail), "safetensors S-13", None
    yield "accept", "order-reversed", framed({"a": f32(16, 32), "b": f32(0, 16)}, sixteen * 2), None, None
    yield "accept", "unaligned", framed(
        '{"a":{"dtype":"U8","shape":[3],"data_offsets":[0,3]},"b":{"dtype":"F64","shape":[2],"data_offsets":[3,19]}}', sixteen + b"xyz"), None, None


def reference_verdict(path):
    try:
        with safetensors.safe_open(path, "np") as file:
            for key in file.keys():
                file.get_slice(key).get_shape()
        return "accept"
    except Exception:
        return "reject"


def write_safetensors():
    folder = FORMATS / "safetensors"
    for verdict in ("accept", "reject"):
        fresh(folder / verdict)
    rows = []
    for verdict, name, data, rule, at in safetensors_vectors():
        path = folder / verdict / f"{name}.safetensors"
        path.write_bytes(data)
        row = {"file": f"{verdict}/{name}.safetensors", "verdict": verdict, "reference": reference_verdict(path)}
        if rule:
            row["rule"] = rule
        if at is not None:
            row["offset"] = data.index(at.encode(), 8) if isinstance(at, str) else at
        rows.append(row)
    dump(folder / "vectors.json", rows)


def dump(path, rows):
    path.write_text("[\n" + ",\n".join("  " + json.dumps(row) for row in rows) + "\n]\n")


# --- safetensors golden files -------------------------------------------------------------------------------------------


def write_golden_safetensors():
    folder = fresh(GOLDEN / "safetensors")
    raw = torch.arange(96, dtype=torch.uint8)
    widths = [torch.uint64, torch.int64, torch.float64, torch.complex64, torch.float32, torch.uint32, torch.int32,
              torch.bfloat16, torch.float16, torch.uint16, torch.int16, torch.float8_e5m2fnuz, torch.float8_e4m3fnuz,
              torch.float8_e8m0fnu, torch.float8_e4m3fn, torch.float8_e5m2, torch.int8, torch.uint8, torch.float4_e2m1fn_x2]
    tensors = {f"layer.{str(d)[6:]}": raw.clone().view(d).reshape(3, -1) for d in widths}
    tensors["layer.bool"] = torch.tensor([True, False, True])
    save_file(tensors, folder / "dtypes.safetensors", {"format": "pt"})
    named = {name: torch.full((2,), float(i)) for i, name in enumerate(
        ["b", "a", "é", "e\u0301", "a.b", "a/b", 'quote"back\\slash', "tab\tnew\nline\x01\x7f", "Z", "", "𝄞"])}
    named["scalar"] = torch.tensor(1.5)
    named["none"] = torch.zeros(0, 3)
    save_file(named, folder / "names.safetensors", {"": "\x00\x1f\"\\é/"})


# --- shard index ---------------------------------------------------------------------------------------------------------


def f32_file(*names):
    """A file of tensors of four bytes each."""
    return framed({name: tensor("F32", [1], 4 * i, 4 * i + 4) for i, name in enumerate(names)}, bytes(4 * len(names)))


def shard_index_vectors():
    """Yields (verdict, name, index, {file: bytes}, rule, text the error points at or a byte)."""
    one, two = "m-1.safetensors", "m-2.safetensors"
    files = {one: f32_file("a", "b"), two: f32_file("c")}
    whole = {"a": one, "b": one, "c": two}

    def index(weight_map, **metadata):
        return json.dumps({"metadata": metadata, "weight_map": weight_map}, ensure_ascii=False).encode()

    yield "accept", "plain", index(whole, total_size=12), files, None, None
    yield "accept", "no-total", index(whole), files, None, None
    yield "accept", "no-metadata", json.dumps({"weight_map": whole}).encode(), files, None, None
    yield "accept", "float-total", index(whole, total_size=12.0, total_parameters=3), files, None, None
    yield "accept", "more-members", json.dumps({"weight_map": whole, "x": [{}], "metadata": {"y": {}}}).encode(), files, None, None
    yield "accept", "ties", index(whole, total_size=12, ties={"d": "a"}), files, None, None
    yield "accept", "folder", index({"a": "part/m.safetensors"}), {"part/m.safetensors": f32_file("a")}, None, None
    yield "accept", "empty", b'{"weight_map":{}}', {}, None, None
    yield "accept", "equivalent-names", index({"é": one, "e\u0301": two}), {one: f32_file("é"), two: f32_file("e\u0301")}, None, None

    yield "reject", "array", b"[]", {}, "shard-index I-2", 0
    yield "reject", "no-map", b'{"metadata":{}}', {}, "shard-index I-2", 0
    yield "reject", "cut", b'{"weight_map":{', {}, "json J-5", 15
    yield "reject", "map-array", b'{"weight_map":[]}', {}, "shard-index I-3", 14
    yield "reject", "value-number", b'{"weight_map":{"a":1}}', {}, "shard-index I-3", 19
    yield "reject", "repeated-tensor", b'{"weight_map":{"a":"m-1.safetensors","a":"m-2.safetensors"}}', files, "json J-11", 38
    yield "reject", "repeated-map", b'{"weight_map":{},"weight_map":{}}', {}, "json J-11", 18
    for name, path in (
        ("parent", "../m.safetensors"), ("absolute", "/etc/m.safetensors"), ("inner-parent", "a/../../m.safetensors"),
        ("dot", "./m.safetensors"), ("double-slash", "a//m.safetensors"), ("empty", ""), ("nul", "m\0.safetensors"),
        ("backslash", "..\\m.safetensors"), ("drive", "C:m.safetensors"), ("percent", "%2e%2e/m.safetensors"),
        ("percent-twice", "%252e%252e/m.safetensors"), ("newline", "m\n.safetensors"), ("long", "m" * 256 + ".safetensors"),
    ):
        data = index({"a": path})
        yield "reject", f"path-{name}", data, {}, "shard-index I-4", data.index(b'"a": "') + 6
    for name, path in (("bin", "pytorch_model.bin"), ("bare", "model"), ("upper", "m.SAFETENSORS")):
        data = index({"a": path})
        yield "reject", f"extension-{name}", data, {}, "shard-index I-5", path
    for name, total in (("negative", "-1"), ("fraction", "1.5"), ("huge", "1e30"), ("text", '"12"'), ("null", "null")):
        data = b'{"metadata":{"total_size":%s},"weight_map":{}}' % total.encode()
        yield "reject", f"total-{name}", data, {}, "shard-index I-6", 26 + (name == "text")
    for name, ties in (("array", b"[]"), ("null", b"null"), ("number", b'{"d":1}')):
        data = b'{"metadata":{"ties":%s},"weight_map":{}}' % ties
        yield "reject", f"ties-{name}", data, {}, "shard-index I-10", 20 + 5 * (name == "number")
    yield "reject", "total-wrong", index(whole, total_size=11), files, "shard-index I-9", None
    yield "reject", "missing-tensor", index({**whole, "d": two}), files, "shard-index I-8", None
    yield "reject", "surplus-tensor", index({"a": one, "c": two}), files, "shard-index I-8", None
    yield "reject", "wrong-file", index({"a": one, "b": two, "c": two}), files, "shard-index I-8", None
    yield "reject", "tensor-twice", index(whole), {one: files[one], two: f32_file("c", "a")}, "shard-index I-8", None
    yield "reject", "shard-empty", index(whole), {one: files[one], two: b""}, "safetensors S-1", 0
    yield "reject", "shard-short", index(whole), {one: files[one], two: files[two][:-1]}, "safetensors S-13", None
    yield "reject", "shard-pickle", index(whole), {one: files[one], two: b"\x80\x02}q\x00." * 4}, "safetensors S-2", 0
    yield "reject", "shard-missing", index(whole), {one: files[one]}, None, None


def write_shard_index():
    folder = FORMATS / "shard-index"
    for verdict in ("accept", "reject"):
        fresh(folder / verdict)
    rows = []
    for verdict, name, data, files, rule, at in shard_index_vectors():
        here = folder / verdict / name
        here.mkdir()
        (here / "model.safetensors.index.json").write_bytes(data)
        for file, content in files.items():
            (here / file).parent.mkdir(exist_ok=True)
            (here / file).write_bytes(content)
        row = {"file": f"{verdict}/{name}/model.safetensors.index.json", "verdict": verdict}
        if rule:
            row["rule"] = rule
        if at is not None:
            row["offset"] = data.index(at.encode()) if isinstance(at, str) else at
        rows.append(row)
    dump(folder / "vectors.json", rows)


def write_golden_shards():
    """A state dict saved in shards by huggingface_hub, and its plans for lists of sizes."""
    folder = fresh(GOLDEN / "shards")
    state = {f"layer.{i}.{part}": torch.full((i + 1, 4), float(i)) for i in range(6) for part in ("weight", "bias")}
    state["embedding"] = torch.arange(64, dtype=torch.float32).reshape(16, 4)
    save_torch_state_dict(state, folder, max_shard_size=128)
    random = Random(7)
    cases = [([10], 10), ([11], 10), ([5, 5, 5], 10), ([4, 11, 4, 4], 10), ([11, 12, 13], 10), ([0, 0, 10, 0], 10)]
    cases += [([random.randrange(40) for _ in range(random.randrange(1, 30))], 32) for _ in range(20)]
    rows = []
    for sizes, limit in cases:
        split = split_state_dict_into_shards_factory(
            {str(i): size for i, size in enumerate(sizes)}, get_storage_size=lambda size: size,
            filename_pattern="model{suffix}.safetensors", max_shard_size=limit)
        rows.append({"sizes": sizes, "limit": limit, "files": [
            [name, [int(i) for i in names]] for name, names in split.filename_to_tensors.items()]})
    dump(folder / "plans.json", rows)


# --- word vectors ----------------------------------------------------------------------------------------------------------


def word_vector_vectors():
    """Yields (verdict, name, bytes, rule, byte of the error, format as sniffed or None)."""
    text, binary, glove = "word2vecText", "word2vecBinary", "glove"
    one = struct.pack("<2f", 1.0, -2.5)
    yield "accept", "text", b"2 2\na 1 -2.5\nb 0.1 1e-3\n", None, None, text
    yield "accept", "text-crlf", b"2 2\r\na 1 2\r\nb 3 4\r\n", None, None, text
    yield "accept", "text-bom", b"\xef\xbb\xbf1 2\na 1 2\n", None, None, text
    yield "accept", "text-trailing-space", b"2 2 \na 1 2 \nb 3 4 \n", None, None, text
    yield "accept", "text-no-final-newline", b"2 2\na 1 2\nb 3 4", None, None, text
    yield "accept", "text-blank-end", b"1 2\na 1 2\n\n\n", None, None, text
    yield "accept", "text-nbsp", "2 2\na\u00a0b 1 2\n\u3000 3 4\n".encode(), None, None, text
    yield "accept", "text-empty-word", b"1 2\n 1 2\n", None, None, text
    yield "accept", "text-duplicate", b"3 2\na 1 2\nb 3 4\na 5 6\n", None, None, text
    yield "accept", "text-tabs", b"1 2\na\t1\t2\n", None, None, text
    yield "accept", "text-numbers", b"4 2\na +1 .5\nb 5. -0\nc 1E2 1e+2\nd 1e-60 0e99\n", None, None, text
    yield "accept", "text-none", b"0 2\n", None, None, text
    yield "accept", "glove", b"the 1 2 3\n. . . 4 5 6\n<unk> 7 8 9\n", None, None, glove
    yield "accept", "glove-spaces-first", b". . . 4 5 6\nthe 1 2 3\nof 1 2 3\n", None, None, glove
    yield "accept", "binary", b"2 2\na " + one + b"b " + one, None, None, binary
    yield "accept", "binary-newlines", b"2 2\na " + one + b"\nb " + one + b"\n", None, None, binary
    yield "accept", "binary-utf8", b"1 2\n" + "日本".encode() + b" " + one, None, None, binary

    for name, header in (("negative", b"-1 5"), ("one-number", b"3"), ("words", b"a b"), ("float", b"1.0 2")):
        yield "reject", f"header-{name}", header + b"\na 1 2 3 4 5\n", "word-vectors W-4", 0, None
    yield "reject", "header-dimensions", b"1 65537\na 1\n", "word-vectors W-1", 0, None
    yield "reject", "header-no-dimensions", b"1 0\na\n", "word-vectors W-1", 0, None
    yield "reject", "header-many-words", b"999999999999 300\na 1\n", "word-vectors W-1", 0, None
    yield "reject", "header-count", b"99999999 300\na 1\n", "word-vectors W-2", 13, None
    yield "reject", "binary-count", b"3 2\na " + one + b"b " + one, "word-vectors W-3", 24, None
    yield "reject", "text-fewer-rows", b"3 2\na 1 2\nb 1 2\n", "word-vectors W-3", 16, None
    yield "reject", "text-more-rows", b"1 2\na 1 2\nb 1 2\n", "word-vectors W-3", 10, None
    yield "reject", "binary-more", b"1 2\na " + one + b"b " + one, "word-vectors W-3", 14, None
    yield "reject", "text-fewer-columns", b"2 2\na 1 2\nb 3\n", "word-vectors W-4", 10, None
    yield "reject", "text-more-columns", b"2 2\na 1 2\nb 3 4 5\n", "word-vectors W-4", 10, None
    yield "reject", "glove-fewer-columns", b"a 1 2 3\nb 1 2\nc 1 2 3\n", "word-vectors W-4", 8, None
    for name, number in (("nan", "nan"), ("inf", "inf"), ("minus-inf", "-Infinity"), ("huge", "1e999"), ("hex", "0x1p3"), ("comma", "1,5"),
                         ("exponent", "1e"), ("sign", "-"), ("point", "."), ("two-points", "1.2.3"), ("suffix", "1f"), ("underscore", "1_0")):
        yield "reject", f"number-{name}", b"2 2\na 1 2\nb 1 " + number.encode() + b"\n", "word-vectors W-5", 14, None
    yield "reject", "number-first-row", b"1 2\na 1 1,5\n", "word-vectors W-5", 8, None
    yield "reject", "binary-nan", b"1 2\na " + struct.pack("<2f", 1, float("nan")), "word-vectors W-5", 6, None
    yield "reject", "utf8", b"2 2\n\xff\xfe 1 2\nb 1 2\n", "word-vectors W-6", 4, None
    yield "reject", "utf8-overlong", b"2 2\nab 1 2\n\xc0\x80 1 2\n", "word-vectors W-6", 11, None
    yield "reject", "word-long", b"1 2\n" + b"w" * 65537 + b" 1 2\n", "word-vectors W-7", 4, None
    yield "reject", "binary-no-space", b"2 2\na " + one + b"bbbbbbbbb", "word-vectors W-8", 14, None
    yield "reject", "binary-cut", b"2 2\na " + one + b"b " + one[:-1], "word-vectors W-8", 16, None
    for name, data in (("empty", b""), ("prose", b"It is a truth universally acknowledged\nthat a man\n"), ("zeros", bytes(64)),
                       ("gzip", b"\x1f\x8b\x08" + bytes(range(64)))):
        yield "reject", f"neither-{name}", data, "word-vectors W-9", 0, None


def write_word_vectors():
    folder = FORMATS / "word-vectors"
    for verdict in ("accept", "reject"):
        fresh(folder / verdict)
    rows = []
    for verdict, name, data, rule, at, sniffed in word_vector_vectors():
        (folder / verdict / name).write_bytes(data)
        row = {"file": f"{verdict}/{name}", "verdict": verdict}
        row |= {key: value for key, value in (("rule", rule), ("offset", at), ("format", sniffed)) if value is not None}
        rows.append(row)
    dump(folder / "vectors.json", rows)


def nearest_float(text):
    """The bits of the float nearest to a decimal number, ties to even, by exact arithmetic; None when it is infinite."""
    value = abs(Fraction(text))
    sign = text.startswith("-") << 31
    if value >= Fraction(2) ** 128 - Fraction(2) ** 103:
        return None
    exponent = -126
    while value >= Fraction(2) ** (exponent + 1):
        exponent += 1
    steps = value / Fraction(2) ** (exponent - 23)
    whole = steps.numerator // steps.denominator
    rest = steps - whole
    if rest > Fraction(1, 2) or (rest == Fraction(1, 2) and whole % 2):
        whole += 1
    return sign | (((exponent + 126) << 23) + whole)


def decimals():
    """Decimal numbers around everything that can go wrong: midpoints, subnormals, overflow, long and short spellings."""
    random = Random(11)
    yield from ("0", "-0", "1", "0.1", "3.4028234e38", "3.4028235e38", "3.4028236e38", "1.17549435e-38", "1.4e-45", "7e-46", "7.1e-46",
                "16777217", "16777219", "9007199254740993", "1e22", "1e23", "1e-22", "1e-23", "18446744073709551616", "0." + "0" * 40 + "1", "1" + "0" * 38)
    for _ in range(300):
        bits = random.randrange(0x7F7FFFFF)
        low, high = (Fraction(struct.unpack("<f", struct.pack("<I", b))[0]) for b in (bits, bits + 1))
        middle = (low + high) / 2
        for offset in (-1, 0, 1):
            digits = random.choice((9, 12, 17, 30, 60))
            with localcontext() as context:
                context.prec = digits
                near = Decimal(middle.numerator) / Decimal(middle.denominator)
                yield f"{near + offset * near * Decimal(10) ** (2 - digits):e}" if offset else f"{near:e}"
    for _ in range(300):
        yield f"{'-' * random.randrange(2)}{random.randrange(10 ** random.randrange(1, 12))}.{random.randrange(10 ** random.randrange(1, 12))}"


def write_golden_word_vectors():
    folder = fresh(GOLDEN / "word-vectors")
    words = ["the", "café", "cafe\u0301", "日本", "a\u00a0b", "😀", "-0.5", "x"]
    generator = numpy.random.default_rng(3)
    table = (generator.standard_normal((len(words), 7)) * 10.0 ** generator.integers(-8, 8, (len(words), 7))).astype(numpy.float32)
    table[0, :3] = [0, -0.0, 1]
    vectors = KeyedVectors(7)
    vectors.add_vectors(words, table)
    vectors.save_word2vec_format(str(folder / "gensim.txt"))
    vectors.save_word2vec_format(str(folder / "gensim.bin"), binary=True)
    vectors.save_word2vec_format(str(folder / "glove.txt"), write_header=False)
    rows = [[text, nearest_float(text)] for text in decimals()]
    dump(folder / "decimals.json", rows)


if __name__ == "__main__":
    assert sys.byteorder == "little"
    write_safetensors()
    write_golden_safetensors()
    write_shard_index()
    write_golden_shards()
    write_word_vectors()
    write_golden_word_vectors()
