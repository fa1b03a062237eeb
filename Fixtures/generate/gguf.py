"""GGUF golden files: `golden/gguf`, the vectors of `Formats/gguf`, both small.

    blocks.safetensors    for each type T: T.blocks u8 (random and awkward blocks), T.values f32 as `gguf.quants` has them
    FAMILY.gguf           the model of `golden/families/FAMILY` in f32, with a little tokenizer: SentencePiece's kind for
                          the llama architecture, byte-level for the others
    quantized.safetensors values f32 of many kinds; for each simple type T: T.blocks as `gguf.quants` quantizes them; for
                          each K type T: T.errors, the relative error that `libgguf` (the reference's C code) makes of each kind
    merges.json           the merges that `transformers` makes of the SentencePiece kind's scores

`--vectors` writes `Formats/gguf/accept`, `Formats/gguf/reject` and `Formats/gguf/vectors.json` (no packages needed).
"""

import json
import pathlib
import struct
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path = [p for p in sys.path if pathlib.Path(p).resolve() != HERE]  # this script has the package's name
GOLDEN = HERE.parent / "golden" / "gguf"
FORMATS = HERE.parent.parent / "Formats" / "gguf"

U8, I8, U16, I16, U32, I32, F32, BOOL, STR, ARR, U64, I64, F64 = range(13)
CODES = "BbHhIifB__QqdD"


# The format, written down by hand so that it can be written wrong.


def string(text) -> bytes:
    data = text if isinstance(text, bytes) else text.encode()
    return struct.pack("<Q", len(data)) + data


def scalar(kind: int, value) -> bytes:
    return string(value) if kind == STR else struct.pack("<" + {10: "Q", 11: "q", 12: "d"}.get(kind, CODES[kind]), value)


def pair(key, kind: int, value) -> bytes:
    return string(key) + struct.pack("<I", kind) + (value if isinstance(value, bytes) else scalar(kind, value))


def array(kind: int, values) -> bytes:
    return struct.pack("<IQ", kind, len(values)) + b"".join(scalar(kind, v) for v in values)


def tensor(name, extents, kind: int, offset: int) -> bytes:
    """`extents` innermost first, as GGUF has them."""
    return string(name) + struct.pack("<I", len(extents)) + struct.pack(f"<{len(extents)}Q", *extents) + struct.pack("<IQ", kind, offset)


def file(pairs=(), tensors=(), data=b"", version=3, alignment=32, counts=None, magic=b"GGUF", pad=True) -> bytes:
    t, k = counts or (len(tensors), len(pairs))
    head = magic + struct.pack("<IQQ", version, t, k) + b"".join(pairs) + b"".join(tensors)
    return head + (b"\0" * (-len(head) % alignment) if pad else b"") + data


NAME = pair("general.architecture", STR, "llama")
ONE = tensor("a", [8], 0, 0)
ONE_DATA = struct.pack("<8f", *range(8))
BIG = 0x7FFFFFFFFFFFFFC0


def accepted():
    """name: (rules, bytes, tensors as (name, dtype, shape))"""
    every = [pair(f"k.{kind}", kind, {BOOL: 1, STR: "héllo"}.get(kind, 1)) for kind in range(13) if kind != ARR]
    every += [pair(f"a.{kind}", ARR, array(kind, {BOOL: [0, 1], STR: ["", "x"]}.get(kind, [1, 2, 3]))) for kind in range(13) if kind != ARR]
    a = ("a", "F32", [8])
    yield "nothing", ["G-1", "G-3"], file(), []
    yield "version-2", ["G-2"], file([NAME], version=2), []
    yield "every-value-type", ["G-7", "G-8", "G-9"], file(every), []
    yield "one-tensor", ["G-11", "G-16"], file([NAME], [ONE], ONE_DATA), [a]
    yield "no-final-padding", ["G-16"], file([NAME], [tensor("b", [3], 24, 0)], b"abc"), [("b", "I8", [3])]
    yield "final-padding", ["G-16"], file([NAME], [ONE], ONE_DATA + b"\0" * 32), [a]
    yield "scalar", ["G-13"], file([NAME], [tensor("s", [], 0, 0)], b"\0" * 4), [("s", "F32", [])]
    yield "extent-zero", ["G-14"], file([NAME], [tensor("z", [4, 0], 0, 0), tensor("a", [8], 0, 0)], ONE_DATA), [("z", "F32", [0, 4]), a]
    yield "reversed-extents", ["G-13"], file([NAME], [tensor("m", [2, 3, 4, 1], 24, 0)], bytes(24)), [("m", "I8", [1, 4, 3, 2])]
    yield "gap-and-order", ["G-17"], file([NAME], [tensor("b", [8], 0, 96), ONE], ONE_DATA + bytes(96)), [("b", "F32", [8]), a]
    yield "name-of-64-bytes", ["G-11"], file([NAME], [tensor("n" * 64, [8], 0, 0)], ONE_DATA), [("n" * 64, "F32", [8])]
    for alignment in [1, 8, 64, 4096]:
        pairs = [pair("general.alignment", U32, alignment)]
        yield f"alignment-{alignment}", ["G-10"], file(pairs, [ONE], ONE_DATA, alignment=alignment), [a]
    quantized = [(2, "Q4_0", 32, 18), (3, "Q4_1", 32, 20), (6, "Q5_0", 32, 22), (7, "Q5_1", 32, 24), (8, "Q8_0", 32, 34), (10, "Q2_K", 256, 84),
                 (11, "Q3_K", 256, 110), (12, "Q4_K", 256, 144), (13, "Q5_K", 256, 176), (14, "Q6_K", 256, 210), (20, "IQ4_NL", 32, 18), (23, "IQ4_XS", 256, 136), (39, "MXFP4", 32, 17)]
    passed = [(16, "IQ2_XXS", 256, 66), (17, "IQ2_XS", 256, 74), (18, "IQ3_XXS", 256, 98), (19, "IQ1_S", 256, 50), (21, "IQ3_S", 256, 110), (22, "IQ2_S", 256, 82),
              (29, "IQ1_M", 256, 56), (34, "TQ1_0", 256, 54), (35, "TQ2_0", 256, 66), (40, "NVFP4", 64, 36), (41, "Q1_0", 128, 18)]
    plain = [(0, "F32", 1, 4), (1, "F16", 1, 2), (30, "BF16", 1, 2), (24, "I8", 1, 1), (25, "I16", 1, 2), (26, "I32", 1, 4), (27, "I64", 1, 8), (28, "F64", 1, 8)]
    tensors, data, expected = [], b"", []
    for kind, name, values, size in plain + quantized + passed:
        tensors.append(tensor(name, [values, 2], kind, len(data)))
        expected.append((name, name, [2, values]))
        data += bytes(2 * size)
        data += bytes(-len(data) % 32)
    yield "every-tensor-type", ["G-15"], file([NAME], tensors, data), expected


def rejected():
    """name: rules, bytes, the expected reason and byte"""
    yield "empty", ["G-1"], b"", "malformed", 0
    for name, magic in [("FUGG", b"FUGG"), ("GGML", b"GGML"), ("GGJT", b"tjgg")]:
        yield f"magic-{name}", ["G-1"], file(magic=magic), "malformed", 0
    for version in [0, 1, 4, 0xFFFFFFFF, 0x03000000, 0x02000000]:
        yield f"version-{version:x}", ["G-2"], file(version=version), "unsupported", 4
    for name, count in [("minus-one", 2**64 - 1), ("2-63", 2**63), ("2-32", 2**32), ("1d", 0x1D1D1D1D1D1D1D1D)]:
        yield f"tensor-count-{name}", ["G-3"], file(counts=(count, 0)), "limitExceeded", 8
        yield f"key-count-{name}", ["G-4"], file(counts=(0, count)), "limitExceeded", 16
    yield "tensor-count-beyond-file", ["G-3"], file([NAME], [ONE], ONE_DATA, counts=(9, 1)), "truncated", 8
    yield "key-count-beyond-file", ["G-4"], file([NAME], counts=(0, 9)), "truncated", 16
    for name, length in [("minus-one", 2**64 - 1), ("2-63", 2**63), ("65536", 65536)]:
        yield f"key-length-{name}", ["G-5"], file([struct.pack("<Q", length) + bytes(64)]), "limitExceeded", 24
    yield "key-length-beyond-file", ["G-5"], file([struct.pack("<Q", 999) + b"k" * 20]), "truncated", 24
    yield "key-empty", ["G-5"], file([pair("", U32, 1)]), "malformed", 24
    yield "key-not-utf8", ["G-5"], file([pair(b"a\xff", U32, 1)]), "malformed", 32
    yield "key-with-nul", ["G-5"], file([pair(b"a\0b", U32, 1)]), "malformed", 24
    yield "key-twice", ["G-6"], file([NAME, pair("k", U32, 1), pair("k", U8, 1)]), "malformed", None
    for kind in [13, 255, 0xFFFFFFFF]:
        yield f"value-type-{kind}", ["G-7"], file([string("k") + struct.pack("<IQ", kind, 0)]), "malformed", 33
    yield "bool-2", ["G-7"], file([pair("key.of.a.bool", BOOL, b"\2")]), "malformed", None
    for name, length in [("minus-one", 2**64 - 1), ("2-63", 2**63)]:
        yield f"string-length-{name}", ["G-8"], file([pair("k", STR, struct.pack("<Q", length) + bytes(8))]), "limitExceeded", 37
    yield "string-length-beyond-file", ["G-8"], file([pair("k", STR, struct.pack("<Q", 2**20) + bytes(8))]), "truncated", 37
    yield "string-not-utf8", ["G-8"], file([pair("k", STR, string(b"\xc0\xaf"))]), "malformed", 45
    for name, count, reason in [("wraps", 2**62, "limitExceeded"), ("above-limit", 2**30 + 1, "limitExceeded"), ("beyond-file", 2**29, "truncated")]:
        yield f"array-{name}", ["G-9"], file([pair("k", ARR, struct.pack("<IQ", F64, count) + bytes(16))]), reason, 41
    yield "array-of-2-40-strings", ["G-9"], file([pair("k", ARR, struct.pack("<IQ", STR, 2**40) + bytes(64))]), "limitExceeded", 41
    yield "array-of-arrays", ["G-9"], file([pair("k", ARR, struct.pack("<IQ", ARR, 1) + array(U8, [1]))]), "unsupported", 37
    yield "array-element-type-13", ["G-7"], file([pair("k", ARR, struct.pack("<IQ", 13, 1) + bytes(8))]), "malformed", 37
    for value in [0, 13, 2**31, 2**17]:
        yield f"alignment-{value}", ["G-10"], file([pair("general.alignment", U32, value)]), "malformed", None
    yield "alignment-i32", ["G-10"], file([pair("general.alignment", I32, 32)]), "malformed", None
    yield "alignment-float", ["G-10"], file([pair("general.alignment", F32, 32.0)]), "malformed", None
    yield "alignment-twice", ["G-6"], file([pair("general.alignment", U32, 32)] * 2), "malformed", None

    def tensors(*entries, data=ONE_DATA):
        return file([], entries, data)

    yield "name-empty", ["G-11"], tensors(tensor("", [8], 0, 0)), "malformed", 24
    yield "name-of-65-bytes", ["G-11"], tensors(tensor("n" * 65, [8], 0, 0)), "limitExceeded", 24
    yield "name-not-utf8", ["G-11"], tensors(tensor(b"\xed\xa0\x80", [8], 0, 0)), "malformed", 32
    yield "name-twice", ["G-12"], tensors(ONE, tensor("a", [8], 0, 32), data=ONE_DATA * 2), "malformed", None
    for rank in [5, 255, 2**32 - 1]:
        yield f"rank-{rank}", ["G-13"], tensors(string("a") + struct.pack("<I", rank) + bytes(64)), "malformed", 33
    yield "extent-minus-one", ["G-14"], tensors(tensor("a", [2**64 - 1], 0, 0)), "malformed", 37
    yield "extents-overflow", ["G-14"], tensors(tensor("a", [4 * (2**31 - 1)] * 2 + [8], 0, 0)), "overflow", None
    yield "extent-2-62-of-f32", ["G-14"], tensors(tensor("a", [2**62], 0, 0)), "overflow", None
    yield "extent-2-42", ["G-16"], tensors(tensor("a", [2**42 + 1], 24, 0)), "truncated", None
    yield "extents-int64-max", ["G-14"], tensors(tensor("a", [2**63 - 1, 2, 1, 1], 24, 0)), "overflow", None
    yield "extent-int64-max", ["G-16"], tensors(tensor("a", [2**63 - 1, 1, 1, 1], 24, 0)), "overflow", None
    yield "two-of-almost-2-63", ["G-16"], tensors(tensor("a", [BIG], 24, 0), tensor("b", [BIG], 24, BIG)), "overflow", None
    yield "row-of-33-q4-0", ["G-15"], tensors(tensor("a", [33], 2, 0)), "malformed", 45
    yield "row-of-128-q4-k", ["G-15"], tensors(tensor("a", [128, 2], 12, 0)), "malformed", None
    for kind in [4, 5, 9, 15, 31, 33, 36, 38, 42, 2**32 - 1]:
        yield f"type-{kind}", ["G-15"], tensors(tensor("a", [256], kind, 0), data=bytes(512)), "unsupported", 45
    yield "offset-minus-one", ["G-16"], tensors(tensor("a", [8], 0, 2**64 - 1)), "malformed", 49
    yield "offset-unaligned", ["G-16"], tensors(tensor("a", [4], 0, 8)), "malformed", 49
    yield "offset-beyond-file", ["G-16"], tensors(tensor("a", [8], 0, 32)), "truncated", None
    yield "offset-2-62", ["G-16"], tensors(tensor("a", [8], 0, 2**62)), "truncated", None
    yield "one-byte-short", ["G-16"], tensors(ONE, data=ONE_DATA[:-1]), "truncated", None
    yield "overlap", ["G-17"], tensors(tensor("a", [16], 0, 0), tensor("b", [8], 0, 32), data=ONE_DATA * 2), "malformed", None


def vectors():
    table = []
    for folder in ["accept", "reject"]:
        (FORMATS / folder).mkdir(parents=True, exist_ok=True)
        for old in (FORMATS / folder).iterdir():
            old.unlink()
    for name, rules, data, tensors in accepted():
        (FORMATS / "accept" / f"{name}.gguf").write_bytes(data)
        table.append({"file": f"accept/{name}.gguf", "verdict": "accept", "rules": [f"gguf {r}" for r in rules], "tensors": [{"name": n, "dtype": d, "shape": s} for n, d, s in tensors]})
    for name, rules, data, reason, offset in rejected():
        (FORMATS / "reject" / f"{name}.gguf").write_bytes(data)
        table.append({"file": f"reject/{name}.gguf", "verdict": "reject", "rule": f"gguf {rules[0]}", "reason": reason} | ({} if offset is None else {"offset": offset}))
    lines = ",\n".join(json.dumps(row) for row in table)
    (FORMATS / "vectors.json").write_text(f"[\n{lines}\n]\n")
    print(f"{len(table)} vectors")


# The golden files


def blocks():
    """For each type 24 blocks: random bits, with scales that are normal, zero, subnormal, infinite or NaN."""
    import numpy as np
    from gguf import GGMLQuantizationType as T, GGML_QUANT_SIZES
    from gguf.quants import dequantize
    from safetensors.numpy import save_file

    random = np.random.default_rng(20)
    places = {"F16": [0], "BF16": [], "Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2], "Q8_0": [0], "Q2_K": [80, 82], "Q3_K": [108], "Q4_K": [0, 2],
              "Q5_K": [0, 2], "Q6_K": [208], "IQ4_NL": [0], "IQ4_XS": [0], "MXFP4": []}
    awkward = [0x0000, 0x8000, 0x0001, 0x83FF, 0x0400, 0x7BFF, 0xFBFF, 0x7C00, 0xFC00, 0x7E00, 0xFE00, 0x7C01, 0xFD55, 0x3C00]
    golden = {}
    for name, scales in places.items():
        size = GGML_QUANT_SIZES[T[name]][1]
        count = 24 if size > 2 else 65536
        rows = random.integers(0, 256, (count, size), dtype=np.uint8)
        if size == 2:
            rows = np.arange(65536, dtype="<u2").view(np.uint8).reshape(count, 2)
        else:
            for place, at in enumerate(scales):
                finite = (random.standard_normal(count) * 0.1).astype("<f2")
                # One awkward scale in a block; which of two NaNs an addition keeps isn't defined.
                for i, bits in enumerate(awkward[place::len(scales)]):
                    finite.view("<u2")[len(awkward) // len(scales) * place + i] = bits
                rows[:, at:at + 2] = finite.view(np.uint8).reshape(count, 2)
        with np.errstate(all="ignore"):
            values = dequantize(rows.reshape(1, -1), T[name]).reshape(-1)
        if size == 2:  # every 61st of all the halves, and all that aren't finite or are subnormal
            keep = (np.arange(count) % 61 == 0) | (np.arange(count) % 0x8000 < 64) | (np.arange(count) % 0x8000 > 0x7FC0) | (abs(np.arange(count) % 0x8000 - 0x7C00) < 32)
            rows, values = rows[keep], values[keep]
        golden[f"{name}.blocks"] = np.ascontiguousarray(rows)
        golden[f"{name}.values"] = np.ascontiguousarray(values.view(np.int32))
    import torch

    singles = np.concatenate([random.integers(0, 2**32, 2000, dtype=np.uint32), np.arange(0x38000000, 0x39000000, 40961, dtype=np.uint32),
                              np.array([0, 1, 0x33000000, 0x33000001, 0x387FFFFF, 0x38800000, 0x477FEFFF, 0x477FF000, 0x7F800000, 0x3F808000, 0x3F818000, 0x7F7FFFFF], np.uint32)])
    singles = singles[(singles & 0x7FFFFFFF) <= 0x7F800000]
    floats = torch.from_numpy(np.concatenate([singles, singles ^ 0x80000000]).view(np.float32))
    golden["round.f32"] = floats.numpy()
    golden["round.bf16"] = floats.to(torch.bfloat16).view(torch.int16).numpy()
    golden["round.f16"] = floats.to(torch.float16).view(torch.int16).numpy()
    save_file(golden, GOLDEN / "blocks.safetensors")


KINDS = 256 * 12


def kinds():
    """Values of many kinds, each a run of `KINDS`: name, values."""
    import numpy as np

    random = np.random.default_rng(21)
    normal = lambda scale=1.0: (random.standard_normal(KINDS) * scale).astype(np.float32)
    yield "normal", normal(0.02)
    yield "laplace", (random.laplace(size=KINDS) * 0.02).astype(np.float32)
    yield "heavy tails", (random.standard_t(3, KINDS) * 0.02).astype(np.float32)
    yield "positive", np.abs(normal())
    yield "negative", -np.abs(normal(100))
    yield "shifted", normal(0.1) + np.float32(1)
    yield "uniform", random.uniform(-1, 1, KINDS).astype(np.float32)
    yield "sparse", np.where(random.random(KINDS) < 0.4, 0, normal(0.02)).astype(np.float32)
    yield "bf16", (normal(0.02).view(np.uint32) & 0xFFFF0000).view(np.float32)
    yield "steps", (np.round(normal(3)) / 8).astype(np.float32)
    awkward = np.zeros((KINDS // 32, 32), np.float32)
    awkward[1] = -0.0
    awkward[2] = 0.25
    awkward[3] = -0.25
    awkward[4, 7] = 3
    awkward[5, 31] = -3
    awkward[6, 3], awkward[6, 9] = 2, -2
    awkward[7, 3], awkward[7, 9] = -2, 2
    awkward[8] = np.arange(32) - 15.5
    awkward[9] = (np.arange(32) % 9 - 4) / 2
    awkward[10] = 1e-7 * np.arange(32)
    awkward[11] = 60000 - np.arange(32)
    awkward[12] = -8 + np.arange(32) / 2
    awkward[13, :] = 1e-30
    awkward[14:] = random.standard_normal((KINDS // 32 - 14, 32)) * 10.0 ** random.integers(-4, 4, (KINDS // 32 - 14, 1))
    yield "awkward", awkward.reshape(-1)


def quantized():
    import libgguf._libgguf as reference
    import numpy as np
    from gguf import GGMLQuantizationType as T
    from gguf.quants import dequantize, quantize
    from safetensors.numpy import save_file

    rows = [values for _, values in kinds()]
    golden = {"values": np.stack(rows)}
    for name in ["Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0"]:
        golden[f"{name}.blocks"] = np.ascontiguousarray(quantize(golden["values"], T[name]))
    for name in ["Q4_K", "Q5_K", "Q6_K"]:
        errors = []
        for values in rows:
            blocks = np.frombuffer(reference.quantize_rows_raw(int(T[name]), values, 1, values.size, None), np.uint8)
            error = dequantize(blocks.reshape(1, -1), T[name]).reshape(-1).astype(np.float64) - values
            errors.append(np.linalg.norm(error) / np.linalg.norm(values.astype(np.float64)))
        golden[f"{name}.errors"] = np.array(errors)
    save_file(golden, GOLDEN / "quantized.safetensors")


FAMILIES = {"llama-llama3-rope": "llama", "llama-untied-linear-rope": "llama", "llama-head-dim": "llama", "qwen2": "qwen2", "qwen3": "qwen3"}
TEXT = "the cat sat on the mat and the other cats sat there, then the hat was on that cat\n" * 3


def pieces(byte_level: bool):
    """A little vocabulary: (tokens, merges) trained on a text."""
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    if byte_level:
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        trainer = trainers.BpeTrainer(vocab_size=300, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False)
    else:
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
        trainer = trainers.BpeTrainer(vocab_size=52, initial_alphabet=["é"], show_progress=False)
    tokenizer.train_from_iterator([TEXT], trainer)
    state = json.loads(tokenizer.to_str())["model"]
    return sorted(state["vocab"], key=state["vocab"].get), [" ".join(m) for m in state["merges"]]


def tiny():
    import math
    import numpy as np
    from gguf import GGUFWriter
    from safetensors.numpy import load_file
    from transformers.convert_slow_tokenizer import generate_merges

    for family, architecture in FAMILIES.items():
        folder = HERE.parent / "golden" / "families" / family
        config = json.loads((folder / "config.json").read_text())
        rope = config.get("rope_parameters") or {"rope_theta": config["rope_theta"]} | (config.get("rope_scaling") or {})
        rope.setdefault("rope_type", rope.get("type", "default"))
        heads, groups = config["num_attention_heads"], config["num_key_value_heads"]
        width = config.get("head_dim") or config["hidden_size"] // heads
        w = GGUFWriter(GOLDEN / f"{family}.gguf", architecture)
        w.add_name(family)
        w.add_block_count(config["num_hidden_layers"])
        w.add_context_length(config["max_position_embeddings"])
        w.add_embedding_length(config["hidden_size"])
        w.add_feed_forward_length(config["intermediate_size"])
        w.add_head_count(heads)
        w.add_head_count_kv(groups)
        w.add_key_length(width)
        w.add_value_length(width)
        w.add_rope_dimension_count(width)
        w.add_rope_freq_base(rope["rope_theta"])
        w.add_layer_norm_rms_eps(config["rms_norm_eps"])
        if rope["rope_type"] == "linear":
            from gguf import RopeScalingType

            w.add_rope_scaling_type(RopeScalingType.LINEAR)
            w.add_rope_scaling_factor(rope["factor"])
        if architecture == "llama":
            trained, _ = pieces(byte_level=False)
            tokens = ["<unk>", "<s>", "</s>", "<0x0A>"] + trained
            scores = [0.0] * 4 + [-float(i) for i in range(len(trained))]
            w.add_tokenizer_model("llama")
            w.add_token_list(tokens)
            w.add_token_scores(scores)
            w.add_token_types([2, 3, 3, 6] + [1] * len(trained))
            w.add_add_bos_token(True)
            merges = generate_merges({t: i for i, t in enumerate(tokens)}, dict(zip(tokens, scores)))
            (GOLDEN / "merges.json").write_text(json.dumps(merges, ensure_ascii=False) + "\n")
        else:
            trained, merges = pieces(byte_level=True)
            special = ["<|im_start|>", "<think>"]
            w.add_tokenizer_model("gpt2")
            w.add_tokenizer_pre("qwen2")
            w.add_token_list(trained + special)
            w.add_token_types([1] * len(trained) + [3, 4])
            w.add_token_merges(merges)
        w.add_bos_token_id(1)
        w.add_eos_token_id(2)
        names = {"input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm", "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k",
                 "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output", "self_attn.q_norm": "attn_q_norm", "self_attn.k_norm": "attn_k_norm",
                 "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down"}
        whole = {"model.embed_tokens.weight": "token_embd.weight", "model.norm.weight": "output_norm.weight", "lm_head.weight": "output.weight"}
        for name, value in load_file(folder / "model.safetensors").items():
            value = value.astype(np.float32)
            if name in whole:
                w.add_tensor(whole[name], value)
                continue
            _, _, layer, rest = name.split(".", 3)
            part, suffix = rest.rsplit(".", 1)
            if architecture == "llama" and part in ("self_attn.q_proj", "self_attn.k_proj"):
                count = heads if part.endswith("q_proj") else groups
                value = value.reshape(count, 2, value.shape[0] // count // 2, *value.shape[1:]).swapaxes(1, 2).reshape(value.shape)
            w.add_tensor(f"blk.{layer}.{names[part]}.{suffix}", np.ascontiguousarray(value))
        if rope["rope_type"] == "llama3":
            factors = []
            for i in range(0, width, 2):
                length = 2 * math.pi * rope["rope_theta"] ** (i / width)
                old, low, high = rope["original_max_position_embeddings"], rope["low_freq_factor"], rope["high_freq_factor"]
                smooth = min(1, max(0, (old / length - low) / (high - low)))
                factors.append(1 / ((1 - smooth) / rope["factor"] + smooth))
            w.add_tensor("rope_freqs.weight", np.array(factors, np.float32))
        w.write_header_to_file()
        w.write_kv_data_to_file()
        w.write_tensors_to_file()
        w.close()


def main():
    GOLDEN.mkdir(parents=True, exist_ok=True)
    if "--vectors" in sys.argv:
        return vectors()
    blocks()
    quantized()
    tiny()


if __name__ == "__main__":
    main()
