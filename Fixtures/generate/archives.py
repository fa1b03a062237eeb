"""Writes the vectors of Formats/zip, Formats/pytorch and Formats/numpy, and the golden files of Fixtures/golden/{pytorch,numpy}.

Run from the repository's root with torch 2.13.0, numpy 2.4.6, safetensors 0.8.0.

`golden/pytorch/expected.safetensors` holds the tensors of every `.pt` file beside it, contiguous, as safetensors writes them: names with
dots for nested dictionaries, `linear.weight` [4, 6] and `tied` the same tensor, `views.*` slices, transposes and expansions of `views.base`
[6, 8], `types.*` one tensor a dtype. `golden/numpy/expected.safetensors` does the same for the arrays.
"""

import io
import json
import pathlib
import shutil
import struct
import sys
import warnings
import zipfile
import zlib

import numpy
import torch
from safetensors.torch import save_file

ROOT = pathlib.Path(__file__).resolve().parents[2]
FORMATS = ROOT / "Formats"
GOLDEN = ROOT / "Fixtures" / "golden"


def fresh(path):
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(parents=True)
    return path


def write_vectors(folder, suffix, rows, reference):
    """Writes each (verdict, name, bytes, facts) to its file, and the table of them all."""
    for verdict in ("accept", "reject"):
        fresh(folder / verdict)
    table = []
    for verdict, name, data, facts in rows:
        path = folder / verdict / (name + suffix)
        assert not path.exists(), path
        path.write_bytes(data)
        table.append({"file": f"{verdict}/{path.name}", "verdict": verdict, "reference": reference(path)} | facts)
    (folder / "vectors.json").write_text("[\n" + ",\n".join("  " + json.dumps(row) for row in table) + "\n]\n")


# --- zip ---------------------------------------------------------------------------------------------------------------


class Zip:
    """An archive put together record by record; `places` tells where each record went."""

    def __init__(self):
        self.body, self.entries, self.places = b"", [], {}

    def add(self, name, data=b"", *, method=0, flags=0, stored=None, crc=None, size=None, stored_size=None, local=None, central=None,
            descriptor=None, wide_local=False, wide_central=False, extra=b"", central_extra=None, madeby=0x031E, mode=0o100644 << 16, at=None):
        """Adds a member; `local` and `central` replace what a header says: dictionaries of fields."""
        name = name if isinstance(name, bytes) else name.encode()
        if stored is None:
            packer = zlib.compressobj(9, zlib.DEFLATED, -15)
            stored = packer.compress(data) + packer.flush() if method == 8 else data
        facts = {"flags": flags, "method": method, "crc": zlib.crc32(data) if crc is None else crc, "size": len(data) if size is None else size,
                 "stored": len(stored) if stored_size is None else stored_size, "name": name}
        here = {**facts, **(local or {})}
        there = {**facts, **(central or {})}
        index = len(self.entries)
        offset = len(self.body) if at is None else at
        self.places[f"local:{index}"] = offset
        if at is None:
            if flags & 8 and not (local or {}).get("sizes"):
                here.update(crc=0, size=0, stored=0)
            own = extra
            sizes = (here["stored"], here["size"])
            if wide_local:
                own = struct.pack("<HHQQ", 1, 16, here["size"], here["stored"]) + own
                sizes = (0xFFFFFFFF, 0xFFFFFFFF)
            self.body += struct.pack("<IHHHHHIIIHH", here.get("signature", 0x04034B50), 20, here["flags"], here["method"], 0, 0x21, here["crc"],
                                     *sizes, len(here["name"]), len(own)) + here["name"] + own
            self.places[f"data:{index}"] = len(self.body)
            self.body += stored
            self.places[f"descriptor:{index}"] = len(self.body)
            if descriptor is not None:
                self.body += descriptor
        own, sizes = b"", [there["stored"], there["size"]]
        if wide_central:
            own = struct.pack("<HHQQ", 1, 16, there["size"], there["stored"])
            sizes = [0xFFFFFFFF, 0xFFFFFFFF]
        if central_extra is not None:
            own = central_extra
        self.entries.append(struct.pack("<IHHHHHHIIIHHHHHII", there.get("signature", 0x02014B50), madeby, 20, there["flags"], there["method"], 0, 0x21,
                                        there["crc"], *sizes, there.get("namelength", len(there["name"])), len(own), 0, 0, 0, mode, there.get("offset", offset)) + there["name"] + own)
        return self

    def close(self, comment=b"", *, wide=None, prefix=b"", count=None, size=None, offset=None, disk=0, after=b"", between=b""):
        """The bytes; `wide` adds the ZIP64 records: a dictionary of what they say otherwise."""
        start = len(self.body)
        directory = b"".join(self.entries)
        at = start
        for index, entry in enumerate(self.entries):
            self.places[f"central:{index}"] = at + len(prefix)
            at += len(entry)
        number = len(self.entries) if count is None else count
        where = start if offset is None else offset
        long = len(directory) if size is None else size
        tail = b""
        if wide is not None:
            self.places["wide"] = start + len(directory) + len(prefix)
            facts = {"count": len(self.entries), "size": len(directory), "offset": start, "record": start + len(directory), "length": 44, "signature": 0x06064B50} | wide
            tail = struct.pack("<IQHHIIQQQQ", facts["signature"], facts["length"], 45, 45, 0, 0, facts["count"], facts["count"], facts["size"], facts["offset"])
            self.places["locator"] = start + len(directory) + len(tail) + len(prefix)
            tail += struct.pack("<IIQI", 0x07064B50, 0, facts["record"], facts.get("disks", 1))
        self.places["end"] = start + len(directory) + len(between) + len(tail) + len(prefix)
        end = struct.pack("<IHHHHIIH", 0x06054B50, disk, disk, number, number, long, where, len(comment)) + comment
        return prefix + self.body + directory + between + tail + end + after


def descriptor(data, signature=True, width="I", crc=None, stored=None):
    crc = zlib.crc32(data) if crc is None else crc
    return (b"PK\x07\x08" if signature else b"") + struct.pack(f"<I{width}{width}", crc, len(data) if stored is None else stored, len(data))


def zip_vectors():
    """Yields (verdict, name, bytes, facts)."""
    text = b"In the beginning was the Word. " * 20

    def reject(name, rule, archive, at=None, **close):
        data = archive.close(**close) if isinstance(archive, Zip) else archive
        facts = {"rule": "zip " + rule}
        if at is not None:
            facts["offset"] = archive.places[at] if isinstance(at, str) else at
        return "reject", name, data, facts

    def accept(name, archive, members, **close):
        return "accept", name, archive.close(**close), {"members": members}

    def one(**more):
        return Zip().add("a.txt", text, **more)

    held = {"a.txt": len(text)}
    yield accept("stored", one(), held)
    yield accept("deflated", one(method=8), held)
    # The last match of each goes beyond a mebibyte, with no input behind it.
    longer = {f"{extra}.txt": (1 << 20) + extra for extra in (1, 3, 6, 257)}
    across = Zip()
    for name, size in longer.items():
        across.add(name, bytes(size), method=8)
    yield accept("deflated-across-tiles", across, longer)
    yield accept("deflated-empty", Zip().add("a.txt", b"", method=8), {"a.txt": 0})
    yield accept("empty-member", Zip().add("a.txt", b""), {"a.txt": 0})
    yield accept("none", Zip(), {})
    yield accept("comment", one(), held, comment=b"a comment")
    yield accept("comment-longest", one(), held, comment=b"c" * 65535)
    yield accept("comment-with-signature", one(), held, comment=b"PK\x05\x06" + b"c" * 40)
    yield accept("folders", Zip().add("d/", mode=0o40755 << 16 | 16).add("d/e/a.txt", text), {"d/e/a.txt": len(text)})
    yield accept("names", Zip().add("é", b"1", flags=0x800).add("e\u0301", b"2", flags=0x800).add("A", b"3").add("a", b"4").add("a b;c:d", b"5"),
                 {"é": 1, "e\u0301": 1, "A": 1, "a": 1, "a b;c:d": 1})
    yield accept("descriptor", one(flags=8, descriptor=descriptor(text)), held)
    yield accept("descriptor-unsigned", one(flags=8, descriptor=descriptor(text, signature=False)), held)
    yield accept("descriptor-wide", one(flags=8, descriptor=descriptor(text, width="Q")), held)
    yield accept("descriptor-sizes-in-front", one(flags=8, local={"sizes": True}, descriptor=descriptor(text)), held)
    yield accept("padding", one(extra=b"FB\x04\0ZZZZ"), held)
    yield accept("zip64-sizes", one(wide_local=True, wide_central=True), held)
    yield accept("zip64-end", one(), held, wide={})
    yield accept("zip64-end-only", one(), held, wide={}, count=0xFFFF, size=0xFFFFFFFF, offset=0xFFFFFFFF)
    yield accept("gap", Zip().add("a.txt", text, descriptor=b"left over").add("b.txt", b"b"), held | {"b.txt": 1})
    yield accept("level-flags", one(method=8, flags=0x6), held)

    # Z-1: the end
    yield reject("end-empty-file", "Z-1", b"", 0)
    yield reject("end-short-file", "Z-1", b"PK\x03\x04", 0)
    whole = one().close()
    yield reject("end-cut", "Z-1", whole[:-1])
    yield reject("end-half", "Z-1", whole[: len(whole) // 2])
    yield reject("end-byte-behind", "Z-1", whole + b"\0")
    yield reject("end-archive-behind", "Z-3", whole + whole)
    yield reject("end-zeros", "Z-1", bytes(100))
    inner = struct.pack("<IHHHHIIH", 0x06054B50, 0, 0, 0, 0, 0, 0, 0)
    archive = one()
    yield reject("end-twice", "Z-1", archive.close(comment=inner), archive.places["end"])
    # Z-2: disks and ZIP64
    for field in ("count", "size", "offset"):
        archive = one()
        value = 0xFFFF if field == "count" else 0xFFFFFFFF
        yield reject(f"zip64-missing-{field}", "Z-2", archive, "end", **{field: value})
    for field, value in (("count", 2), ("size", 7), ("offset", 9)):
        yield reject(f"zip64-other-{field}", "Z-2", one(), "end", wide={field: value})
    yield reject("zip64-record-elsewhere", "Z-2", one(), "locator", wide={"record": 1 << 40})
    yield reject("zip64-record-2-to-63", "Z-2", one(), "locator", wide={"record": 1 << 63})
    yield reject("zip64-record-wrong", "Z-2", one(), "wide", wide={"signature": 0})
    yield reject("zip64-record-length", "Z-2", one(), "wide", wide={"length": 45})
    yield reject("zip64-disks", "Z-2", one(), "locator", wide={"disks": 2})
    yield reject("disks", "Z-2", one(), "end", disk=1)
    # Z-3: the central directory
    yield reject("directory-count-more", "Z-4", one(), "central:0", count=2)
    yield reject("directory-count-fewer", "Z-3", one().add("b", b"b"), "central:1", count=1)
    yield reject("directory-size", "Z-3", one(), "end", size=50)
    yield reject("directory-offset", "Z-3", one(), "end", offset=1)
    yield reject("directory-gap", "Z-3", one(), "end", between=b"??")
    yield reject("directory-count-huge", "Z-3", one(), "wide", wide={"count": 1 << 40}, count=0xFFFF)
    yield reject("directory-size-huge", "Z-3", one(), "wide", wide={"size": 1 << 62}, size=0xFFFFFFFF)
    yield reject("prefix", "Z-3", one(), "end", prefix=b"#!/bin/sh\n")
    # Z-4: entries
    yield reject("entry-signature", "Z-4", one(central={"signature": 0x02014B51}), "central:0")
    yield reject("entry-name-long", "Z-4", one(central={"namelength": 500}), "central:0")
    # Z-5: extra fields
    yield reject("extra-missing", "Z-5", one(wide_central=True, central_extra=b""), "central:0")
    yield reject("extra-short", "Z-5", one(wide_central=True, central_extra=struct.pack("<HHQ", 1, 8, 9)), "central:0")
    yield reject("extra-overrun", "Z-5", one(central_extra=struct.pack("<HH", 7, 40) + b"x"), "central:0")
    yield reject("extra-cut", "Z-5", one(central_extra=b"xyz"), "central:0")
    yield reject("extra-2-to-63", "Z-5", one(wide_central=True, central_extra=struct.pack("<HHQQ", 1, 16, 1 << 63, 1 << 63)), "central:0")
    yield reject("extra-local-cut", "Z-5", one(extra=b"xyz"), "local:0")
    # Z-6: flags
    for name, flags in (("encrypted", 0x1), ("patch", 0x20), ("strong", 0x40), ("masked", 0x2000), ("reserved", 0x8000)):
        yield reject(f"flags-{name}", "Z-6", one(flags=flags), "central:0")
    # Z-7: compression
    for method in (1, 6, 9, 12, 14, 93, 95, 99):
        yield reject(f"method-{method}", "Z-7", one(method=method, stored=b"??"), "central:0")
    yield reject("stored-sizes", "Z-7", one(size=len(text) + 1), "central:0")
    yield reject("ratio", "Z-7", one(method=8, stored=b"\x03\0", size=1 << 40, wide_central=True, wide_local=True), "central:0")
    # Z-8: names
    for label, name in (("parent", "../a"), ("parent-inside", "a/../../b"), ("absolute", "/etc/passwd"), ("here", "./a"), ("empty-part", "a//b"),
                        ("backslash", "..\\a"), ("nul", "a\0b"), ("newline", "a\nb"), ("none", ""), ("latin", b"\xe9"), ("overlong", b"\xc0\xaf")):
        yield reject(f"name-{label}", "Z-8", Zip().add(name, b"x"), "central:0")
    # Z-9
    yield reject("name-twice", "Z-9", one().add("a.txt", b"other"), "central:1")
    # Z-10: kinds
    for label, mode in (("link", 0o120777), ("device", 0o060644), ("fifo", 0o010644), ("socket", 0o140644)):
        yield reject(f"kind-{label}", "Z-10", one(mode=mode << 16), "central:0")
    yield reject("kind-folder-with-data", "Z-10", Zip().add("d/", b"data", mode=0o40755 << 16), "central:0")
    yield reject("kind-file-as-folder", "Z-10", one(mode=0o40755 << 16), "central:0")
    # Z-11: the local header
    for label, local in (("signature", {"signature": 0x04034B51}), ("name", {"name": b"b.txt"}), ("name-length", {"name": b"a.txt2"}), ("method", {"method": 8}),
                         ("size", {"size": 3}), ("stored", {"stored": 3}), ("crc", {"crc": 7}), ("flags", {"flags": 0x800})):
        yield reject(f"local-{label}", "Z-11", one(local=local), "local:0")
    yield reject("local-descriptor-size", "Z-11", one(flags=8, local={"sizes": True, "size": 3}, descriptor=descriptor(text)), "local:0")
    # Z-12: places
    archive = one()
    archive.add("b.txt", text, at=0, local={"name": b"a.txt"})
    yield reject("overlap-same", "Z-12", archive, "local:0")
    archive = Zip().add("a.txt", Zip().add("b.txt", b"quoted").body)
    archive.add("b.txt", b"quoted", at=archive.places["data:0"])
    yield reject("overlap-quoted", "Z-12", archive, "local:0")
    yield reject("place-behind", "Z-12", one(central={"offset": 1 << 20}), "central:0")
    yield reject("place-too-long", "Z-12", one(size=1 << 20, stored_size=1 << 20), "central:0")
    shifted = one(central={"offset": 5})
    yield reject("prefix-adjusted", "Z-12", shifted.close(prefix=b"GIF89", offset=5 + len(shifted.body)), 0)
    # Z-13: descriptors
    for label, record in (("crc", descriptor(text, crc=1)), ("size", descriptor(text, stored=5)), ("none", b""), ("cut", descriptor(text)[:10])):
        yield reject(f"descriptor-{label}", "Z-13", one(flags=8, descriptor=record), "descriptor:0")
    # Z-14: checksums
    for method in (0, 8):
        for label, crc in (("zero", 0), ("other", 0x12345678)):
            yield reject(f"checksum-{label}-{method}", "Z-14", one(method=method, crc=crc), "data:0")
    # Z-15: deflate
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = packer.compress(text) + packer.flush()
    for label, stored, size in (("damaged", b"\xff" + packed[1:], len(text)), ("cut", packed[:-2], len(text)), ("short", packed, len(text) + 1),
                                ("long", packed, len(text) - 1), ("behind", packed + b"??", len(text)), ("zlib", zlib.compress(text), len(text))):
        yield reject(f"deflate-{label}", "Z-15", one(method=8, stored=stored, size=size), "data:0")


def zip_reference(path):
    try:
        with zipfile.ZipFile(path) as archive:
            return "accept" if archive.testzip() is None else "reject"
    except Exception:
        return "reject"


# --- PyTorch -------------------------------------------------------------------------------------------------------------


def U(text):
    data = text if isinstance(text, bytes) else text.encode()
    return b"X" + struct.pack("<I", len(data)) + data


def I(value):
    return b"J" + struct.pack("<i", value) if -(2**31) <= value < 2**31 else b"\x8a\x08" + struct.pack("<q", value)


def G(module, name):
    return b"c" + f"{module}\n{name}\n".encode()


def TUP(values):
    return b"(" + b"".join(values) + b"t"


def INTS(values):
    return TUP([I(value) for value in values])


OD = G("collections", "OrderedDict") + b")R"


def storage(key="0", kind="FloatStorage", count=4, module="torch", place="cpu", word="storage", more=b""):
    return b"(" + U(word) + G(module, kind) + U(key) + U(place) + I(count) + more + b"tQ"


def tensor(stored=None, offset=0, size=(4,), stride=(1,), function="_rebuild_tensor_v2", module="torch._utils", more=b""):
    return G(module, function) + b"(" + (storage() if stored is None else stored) + I(offset) + INTS(size) + INTS(stride) + b"\x89" + OD + more + b"tR"


def state(*items, frame=b"\x80\x02"):
    """A pickle of a dictionary: names and the bytes that push values."""
    return frame + b"}(" + b"".join(U(name) + value for name, value in items) + b"u."


FOUR = struct.pack("<4f", 1, 2, 3, 4)


def checkpoint(pickle, storages=None, folder="m/", **others):
    """An archive as PyTorch lays it out; `others` replace or, with None, leave out records."""
    records = {"data.pkl": pickle, "byteorder": b"little", **{f"data/{key}": data for key, data in ({"0": FOUR} if storages is None else storages).items()}, "version": b"3\n"}
    records |= others
    archive = Zip()
    for name, data in records.items():
        if data is not None:
            archive.add(folder + name, data, madeby=0, mode=0)
    return archive.close()


def plain(name="w", dtype="F32", shape=(4,), data=FOUR):
    return {"name": name, "dtype": dtype, "shape": list(shape), "bytes": data.hex()}


MAGIC = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."
SYSTEM = b"\x80\x02}(" + U("protocol_version") + I(1001) + U("little_endian") + b"\x88u."


def stack(pickle, keys=("0",), storages=((4, FOUR),), magic=MAGIC, version=1001, system=SYSTEM, behind=b""):
    """A file of the form before 1.6."""
    names = b"\x80\x02](" + b"".join(U(key) for key in keys) + b"e."
    return magic + b"\x80\x02" + I(version) + b"." + system + pickle + names + b"".join(struct.pack("<q", count) + data for count, data in storages) + behind


def pytorch_vectors():
    """Yields (verdict, name, bytes, facts)."""

    def accept(name, data, *tensors, **facts):
        return "accept", name, data, {"tensors": list(tensors), **facts}

    def reject(name, rule, data, at=None):
        facts = {"rule": rule if " " in rule else "pytorch " + rule}
        if at is not None:
            facts["offset"] = data.index(at) if isinstance(at, bytes) else at
        return "reject", name, data, facts

    def bad(name, rule, pickle, at=None, **more):
        """A pickle that breaks a rule, inside an archive."""
        return reject(name, rule, checkpoint(pickle, **more), at)

    w = ("w", tensor())
    good = state(w)
    halves = numpy.arange(8, dtype="<f4").tobytes()
    yield accept("plain", checkpoint(good), plain())
    yield accept("none", checkpoint(state(), {}))
    yield accept("sole", checkpoint(b"\x80\x02" + tensor() + b"."), plain("tensor"))
    yield accept("list", checkpoint(b"\x80\x02](" + tensor() + tensor(size=(2,)) + b"e."), plain("0"), plain("1", shape=(2,), data=FOUR[:8]))
    yield accept("nested", checkpoint(state(("state", b"}" + U("a") + tensor() + b"s"), ("step", b"K\x07"), ("args", b"}(" + U("lr") + b"G" + struct.pack(">d", 0.5) + U("names") + b"](" + U("x") + b"N\x88eu"))),
                 plain("state.a"), metadata={"step": "7", "args": '{"lr":0.5,"names":["x",null,true]}'})
    yield accept("keys", checkpoint(b"\x80\x02}(" + b"K\x05" + tensor() + b"N" + tensor(size=(1,)) + b"u."), plain("5"), plain("null", shape=(1,), data=FOUR[:4]))
    yield accept("ordered", checkpoint(b"\x80\x02" + OD + b"(" + U("w") + tensor() + b"u}" + U("_metadata") + OD + b"sb."), plain())
    yield accept("ordered-pairs", checkpoint(b"\x80\x02" + G("collections", "OrderedDict") + b"](](" + U("w") + tensor() + b"ee\x85R."), plain())
    yield accept("parameter", checkpoint(state(("w", G("torch._utils", "_rebuild_parameter") + b"(" + tensor() + b"\x88" + OD + b"tR"))), plain())
    yield accept("parameter-state", checkpoint(state(("w", G("torch._utils", "_rebuild_parameter_with_state") + b"(" + tensor() + b"\x88" + OD + b"}tR"))), plain())
    yield accept("attributes", checkpoint(state(("w", G("torch._tensor", "_rebuild_from_type_v2") + b"(" + G("torch._utils", "_rebuild_tensor_v2") + G("torch", "Tensor")
                 + tensor()[len(G("torch._utils", "_rebuild_tensor_v2")):-1] + b"}" + U("note") + U("x") + b"stR"))), plain())
    yield accept("first-tensors", checkpoint(state(("w", G("torch._utils", "_rebuild_tensor") + b"(" + storage() + I(0) + INTS((4,)) + INTS((1,)) + b"tR"))), plain())
    yield accept("untyped", checkpoint(state(("w", tensor(storage(kind="UntypedStorage", module="torch.storage", count=16), function="_rebuild_tensor_v3", more=G("torch", "float32"))))), plain())
    yield accept("size", checkpoint(state(w, ("shape", G("torch", "Size") + INTS((3, 4)) + b"\x85R"), ("device", G("torch", "device") + U("cpu") + b"\x85R"))), plain(),
                 metadata={"shape": "[3,4]", "device": '"a device"'})
    yield accept("sets", checkpoint(state(w, ("s", b"\x8f(K\x01K\x02\x90"), ("f", b"(K\x01\x91"), ("c", G("builtins", "set") + b"]\x85R"))), plain())
    yield accept("tied", checkpoint(state(w, ("v", tensor()))), plain(), plain("v"), ties=[["w", "v"]])
    yield accept("shared", checkpoint(state(w, ("v", tensor(offset=1, size=(3,))))), plain(), plain("v", shape=(3,), data=FOUR[4:]), ties=[])
    yield accept("transposed", checkpoint(state(("w", tensor(size=(2, 2), stride=(1, 2))))), plain(shape=(2, 2), data=struct.pack("<4f", 1, 3, 2, 4)))
    yield accept("expanded", checkpoint(state(("w", tensor(size=(3, 2), stride=(0, 2))))), plain(shape=(3, 2), data=struct.pack("<6f", *(1, 3) * 3)))
    yield accept("strided", checkpoint(state(("w", tensor(offset=1, size=(2,), stride=(2,))))), plain(shape=(2,), data=struct.pack("<2f", 2, 4)))
    yield accept("overlapping", checkpoint(state(("w", tensor(size=(3, 2), stride=(1, 1))))), plain(shape=(3, 2), data=struct.pack("<6f", 1, 2, 2, 3, 3, 4)))
    yield accept("scalar", checkpoint(state(("w", tensor(offset=2, size=(), stride=())))), plain(shape=(), data=FOUR[8:12]))
    yield accept("zero", checkpoint(state(("w", tensor(offset=4, size=(0, 3), stride=(3, 1))), ("v", tensor(size=(2, 0), stride=(99, 1))))),
                 plain(shape=(0, 3), data=b""), plain("v", shape=(2, 0), data=b""))
    yield accept("empty-storage", checkpoint(state(("w", tensor(storage(count=0), size=(0,)))), {"0": b""}), plain(shape=(0,), data=b""))
    yield accept("big-endian", checkpoint(good, {"0": struct.pack(">4f", 1, 2, 3, 4)}, byteorder=b"big"), plain())
    yield accept("big-endian-complex", checkpoint(state(("w", tensor(storage(kind="ComplexFloatStorage", count=2), size=(2,)))), {"0": struct.pack(">4f", 1, 2, 3, 4)}, byteorder=b"big"),
                 plain(dtype="C64", shape=(2,)))
    yield accept("big-endian-bytes", checkpoint(state(("w", tensor(storage(kind="ByteStorage", count=4)))), {"0": b"abcd"}, byteorder=b"big"), plain(dtype="U8", data=b"abcd"))
    yield accept("no-byteorder", checkpoint(good, byteorder=None), plain())
    yield accept("other-device", checkpoint(state(("w", tensor(storage(place="cuda:99"))))), plain())
    yield accept("cuda-class", checkpoint(state(("w", tensor(storage(module="torch.cuda"))))), plain())
    yield accept("further-records", checkpoint(good, **{"extra": b"anything", ".data/serialization_id": b"1"}), plain())
    yield accept("version-10", checkpoint(good, version=b"10\n"), plain())
    yield accept("memo", checkpoint(b"\x80\x02}q\x00(" + U("a") + b"q\x01" + tensor() + b"q\x02" + U("b") + b"h\x02" + U("c") + tensor(size=(1,)) + b"r\x05\0\0\0" + U("d") + b"j\x05\0\0\0u."),
                 plain("a"), plain("b"), plain("c", shape=(1,), data=FOUR[:4]), plain("d", shape=(1,), data=FOUR[:4]), ties=[["a", "b"], ["c", "d"]])
    body = state(w, frame=b"")
    yield accept("protocol-4", checkpoint(b"\x80\x04\x95" + struct.pack("<Q", len(body)) + body), plain())
    yield accept("protocol-4-frames", checkpoint(b"\x80\x04\x95" + struct.pack("<Q", 2) + body[:2] + b"\x95" + struct.pack("<Q", len(body) - 2) + body[2:]), plain())
    named = b"\x8c\x0ctorch._utils\x8c\x12_rebuild_tensor_v2\x93\x94"
    yield accept("stack-global", checkpoint(state(("w", named + tensor()[len(G("torch._utils", "_rebuild_tensor_v2")):]), frame=b"\x80\x04")), plain())
    yield accept("protocol-5", checkpoint(state(w, frame=b"\x80\x05")), plain())
    yield accept("bytes", checkpoint(state(w, ("b", b"C\x03abc"), ("e", G("_codecs", "encode") + U("abc") + U("latin1") + b"\x86R"), ("l", b"\x8a\x0a" + b"\x7f" * 10), ("n", b"\x8a\x01\xff"), ("z", b"\x8a\x00"))), plain(),
                 metadata={"b": '"3 bytes"', "e": '"3 bytes"', "l": '"a long integer"', "n": "-1", "z": "0"})
    yield accept("laughs", checkpoint(b"\x80\x02}(" + U("w") + tensor() + U("x") + b"](" + U("ha") + b"eq\x00" + b"".join(
        U(f"x{level}") + b"](" + (b"h" + bytes([level])) * 10 + b"eq" + bytes([level + 1]) for level in range(30)) + b"u."), plain())
    for kind, function in (("a sparse tensor", "_rebuild_sparse_tensor"), ("a quantized tensor", "_rebuild_qtensor"), ("a tensor without data", "_rebuild_meta_tensor_no_storage")):
        yield accept("kind-" + function[9:].replace("_", "-"), checkpoint(state(w, ("s", G("torch._utils", function) + b")R"))), plain(), unreadable={"s": kind})
    yield accept("kind-complex128", checkpoint(state(w, ("s", tensor(storage("1", "ComplexDoubleStorage", 1), size=(1,)))), {"0": FOUR, "1": FOUR}), plain(), unreadable={"s": "a complex128 tensor"})
    older = state(("w", tensor(storage(more=b"N"))))
    yield accept("stack", stack(older), plain())
    yield accept("stack-protocol-4", stack(older, magic=b"\x80\x04\x95" + struct.pack("<Q", len(MAGIC) - 2) + MAGIC[2:]), plain())
    yield accept("stack-view", stack(state(("w", tensor(storage(more=TUP([U("1"), I(1), I(2)])), size=(2,))))), plain(shape=(2,), data=FOUR[4:12]))
    yield accept("stack-five-fields", stack(good), plain())
    yield accept("stack-two", stack(state(("w", tensor(storage(more=b"N"))), ("v", tensor(storage("7", "HalfStorage", 2, more=b"N"), size=(2,)))), ("7", "0"), ((2, b"\0<\0@"), (4, FOUR))), plain(), plain("v", "F16", (2,), b"\0<\0@"))

    # P-1, P-2: the archive
    yield reject("folder-none", "P-1", checkpoint(good, folder=""))
    yield reject("folder-two", "P-1", Zip().add("m/data.pkl", good).add("m/version", b"3\n").add("n/data/0", FOUR).close())
    yield reject("version-missing", "P-1", checkpoint(good, version=None))
    for label, text in (("0", b"0\n"), ("99", b"99\n"), ("text", b"abc"), ("empty", b"")):
        yield reject(f"version-{label}", "P-1", checkpoint(good, version=text))
    yield reject("byteorder-other", "P-1", checkpoint(good, byteorder=b"middle"))
    yield reject("script", "P-2", checkpoint(good, **{"constants.pkl": b"\x80\x02)."}))
    # P-3: the frame of a pickle
    for label, pickle in (("empty", b""), ("text", b"(dp0\n."), ("only-stop", b"."), ("none", good[2:])):
        yield bad(f"pickle-{label}", "P-5" if label == "empty" else "P-3", pickle)
    for version in (0, 1, 6, 255):
        yield bad(f"protocol-{version}", "P-3", bytes([0x80, version]) + good[2:])
    yield bad("protocol-again", "P-3", b"\x80\x02\x80\x02" + good[2:])
    yield bad("behind", "P-3", good + b"x")
    yield bad("behind-pickle", "P-3", good + good)
    # P-4: opcodes
    for label, code in (("inst", b"(ios\nsystem\n"), ("obj", b"(" + G("collections", "OrderedDict") + b"o"), ("int", b"I01\n"), ("float", b"F1\n"), ("unicode", b"Va\n"), ("string", b"S'a'\n"),
                        ("pop", b"N0"), ("pop-mark", b"(1"), ("dup", b"N2"), ("ext1", b"\x82\x01"), ("ext2", b"\x83\x01\0"), ("ext4", b"\x84\x01\0\0\0"), ("persid", b"Pa\n"), ("get", b"g0\n"),
                        ("put", b"Np0\n"), ("newobj-ex", G("collections", "OrderedDict") + b")}\x92"), ("next-buffer", b"\x97"), ("dict", b"(d"), ("list", b"(l"), ("long", b"L1L\n"), ("unknown", b"\xff")):
        yield bad(f"opcode-{label}", "P-4", b"\x80\x02" + code + b".")
    yield bad("laughs-by-dup", "P-4", b"\x80\x02](" + U("ha") + b"2222e.")
    # P-5: arguments
    for label, code in (("unicode", b"X\xff\xff\xff\xff"), ("unicode8", b"\x8d" + b"\xff" * 8), ("bytes8", b"\x8e" + struct.pack("<Q", 1 << 63)), ("bytes8-large", b"\x8e" + struct.pack("<Q", 1 << 40)), ("long4", b"\x8b\xff\xff\xff\x7f"),
                        ("long1", b"\x8a\xff"), ("short", b"M\x01"), ("global", b"ccollections\nOrdered"), ("nothing", b""), ("float", b"G123")):
        yield bad(f"cut-{label}", "P-5", b"\x80\x02" + code)
    # P-6: frames
    for label, pickle in (("longer", b"\x80\x04\x95" + struct.pack("<Q", len(body) + 1) + body), ("huge", b"\x80\x04\x95" + b"\xff" * 8 + body), ("shorter", b"\x80\x04\x95" + struct.pack("<Q", 5) + body),
                          ("nested", b"\x80\x04\x95" + struct.pack("<Q", len(body) + 9) + b"\x95" + struct.pack("<Q", len(body)) + body), ("behind-stop", b"\x80\x04\x95" + struct.pack("<Q", 3) + b"N.N")):
        yield bad(f"frame-{label}", "P-6", pickle)
    # P-7: the stack
    for label, code in (("nothing", b""), ("two", b"NN"), ("no-mark", b"t"), ("underflow", b"N\x86"), ("mark-left", b"N("), ("below-mark", b"N(\x85"), ("append", b"a"), ("reduce", b")R")):
        yield bad(f"stack-{label}", "P-7", b"\x80\x02" + code + b".")
    # P-8: the memo
    yield bad("memo-unknown", "P-8", b"\x80\x02h\x05.")
    yield bad("memo-last", "P-8", b"\x80\x02Nr\xff\xff\xff\xffj\xfe\xff\xff\xff.")
    # P-9: globals
    for label, module, name in (("system", "os", "system"), ("posix", "posix", "system"), ("nt", "nt", "system"), ("eval", "builtins", "eval"), ("eval-2", "__builtin__", "eval"), ("getattr", "builtins", "getattr"),
                                ("load", "torch", "load"), ("dotted", "torch", "load.__globals__"), ("subprocess", "subprocess", "Popen"), ("numpy", "numpy.core.multiarray", "_reconstruct"), ("counter", "collections", "Counter"),
                                ("hub", "torch.hub", "load"), ("namespace", "argparse", "Namespace"), ("storage", "torch.storage", "_load_from_bytes"), ("import", "importlib", "import_module"), ("empty", "", "")):
        yield bad(f"global-{label}", "P-9", b"\x80\x02" + G(module, name) + U("echo") + b"\x85R.", G(module, name))
    yield bad("global-stack", "P-9", b"\x80\x04\x8c\x02os\x8c\x06system\x93" + U("echo") + b"\x85R.", b"\x93X")
    yield bad("global-computed", "P-9", b"\x80\x04K\x01\x8c\x06system\x93.", b"\x93.")
    yield bad("global-inside", "P-9", state(("w", tensor()), ("x", G("os", "getcwd") + b")R")), G("os", "getcwd"))
    # P-10: calls
    for label, value in (("arity", G("torch._utils", "_rebuild_tensor_v2") + TUP([storage(), I(0)]) + b"R"), ("no-storage", G("torch._utils", "_rebuild_tensor_v2") + TUP([I(1), I(0), INTS((4,)), INTS((1,)), b"\x89", OD]) + b"R"),
                         ("text-size", G("torch._utils", "_rebuild_tensor_v2") + TUP([storage(), I(0), U("4"), INTS((1,)), b"\x89", OD]) + b"R"), ("float-size", G("torch._utils", "_rebuild_tensor_v2") + TUP([storage(), I(0), TUP([b"G" + bytes(8)]), INTS((1,)), b"\x89", OD]) + b"R"),
                         ("list-arguments", G("torch._utils", "_rebuild_tensor_v2") + b"]R"), ("call-text", U("x") + b")R"), ("call-dtype", G("torch", "float32") + b")R"), ("call-storage", G("torch", "FloatStorage") + b")R"), ("call-tensor", G("torch", "Tensor") + b")R"),
                         ("parameter-none", G("torch._utils", "_rebuild_parameter") + TUP([b"N", b"\x88", OD]) + b"R"), ("dtype-none", tensor(storage(kind="UntypedStorage", module="torch.storage", count=16), function="_rebuild_tensor_v3", more=b"N")),
                         ("type-other", G("torch._tensor", "_rebuild_from_type_v2") + TUP([G("torch._utils", "_rebuild_tensor_v2"), G("torch", "Size"), b")", b"}"]) + b"R"), ("size-none", G("torch", "Size") + b")R"), ("dictionary-pairs", G("collections", "OrderedDict") + b"]N" + b"a\x85R"),
                         ("new-tensor", G("torch", "Tensor") + b")\x81"), ("new-function", G("torch._utils", "_rebuild_tensor_v2") + b")\x81")):
        yield bad(f"call-{label}", "P-10", state(("w", value)))
    # P-11: state
    for label, value in (("list", b"]}b"), ("dictionary", b"}}b"), ("none", b"N}b"), ("no-dictionary", OD + b"Nb"), ("class", OD + b"}" + U("__class__") + b"Nsb"), ("reduce", OD + b"}" + U("__reduce__") + b"Nsb"), ("number", OD + b"}K\x01Nsb")):
        yield bad(f"build-{label}", "P-11", state(w, ("x", value)))
    # P-12: containers
    for label, value in (("setitem-list", b"]NNs"), ("setitems-tuple", b")(NNu"), ("setitem-tensor", tensor() + b"NNs"), ("odd", b"}(Nu"), ("append-dictionary", b"}Na"), ("appends-tuple", b")(Ne"), ("append-set", b"\x8fNa"),
                         ("key-list", b"}]Ns"), ("key-dictionary", b"}}Ns"), ("key-tensor", b"}" + tensor() + b"Ns"), ("additems-list", b"](N\x90")):
        yield bad(f"items-{label}", "P-12", state(("x", value)))
    # P-13: storages
    for label, value in (("int", I(5) + b"Q"), ("text", U("0") + b"Q"), ("word", storage(word="module")), ("short", TUP([U("storage"), G("torch", "FloatStorage"), U("0")]) + b"Q"), ("class", storage(kind="Size")), ("key-path", storage("../0")), ("key-empty", storage("")),
                         ("key-number", TUP([U("storage"), G("torch", "FloatStorage"), I(0), U("cpu"), I(4)]) + b"Q"), ("negative", storage(count=-1)), ("huge", storage(count=2**62)), ("float", TUP([U("storage"), G("torch", "FloatStorage"), U("0"), U("cpu"), b"G" + bytes(8)]) + b"Q"),
                         ("view-outside", storage(more=TUP([U("1"), I(3), I(2)])))):
        yield bad(f"storage-{label}", "P-13", state(("w", tensor(value))))
    # P-14: records
    yield bad("record-missing", "P-14", state(("w", tensor(storage("1")))))
    yield bad("record-short", "P-14", good, storages={"0": FOUR[:-1]})
    yield bad("record-long", "P-14", good, storages={"0": FOUR + b"\0"})
    yield bad("record-two-sizes", "P-14", state(w, ("v", tensor(storage(count=2), size=(2,)))))
    # P-15: views
    for label, more in (("size", {"size": (5,)}), ("offset", {"offset": 1}), ("stride", {"stride": (2,)}), ("negative-stride", {"offset": 3, "stride": (-1,)}), ("negative-offset", {"offset": -1}), ("negative-size", {"size": (-1,)}), ("rank", {"size": (2, 2)}),
                        ("far", {"size": (2,), "stride": (2**62,)}), ("overflow-stride", {"size": (2**40,), "stride": (2**40,)}), ("overflow-size", {"size": (2**40, 2**40), "stride": (0, 0)}), ("zero-offset", {"offset": 5, "size": (0,)}), ("ranks", {"size": (1,) * 65, "stride": (1,) * 65})):
        yield bad(f"view-{label}", "P-15", state(("w", tensor(**more))))
    # Two values lie in a byte, so the extent is doubled.
    halves_of_none = tensor(storage(kind="UntypedStorage", module="torch.storage", count=0), size=(0, 2**62), stride=(1, 1), function="_rebuild_tensor_v3", more=G("torch", "float4_e2m1fn_x2"))
    yield bad("view-overflow-packed", "P-15", state(("w", halves_of_none)), storages={"0": b""})
    # P-16: budgets
    yield bad("expand", "P-16", state(("w", tensor(size=(2**40,), stride=(0,)))))
    yield bad("expand-many", "P-16", state(*((f"w{i}", tensor(size=(2**26 + i,), stride=(0,))) for i in range(6))))
    bomb = Zip().add("m/data.pkl", b"\x80\x02](" + b"N" * (3 << 20) + b"e.", method=8).add("m/version", b"3\n").close()
    yield reject("deflated-bomb", "P-16", bomb)
    yield bad("cycle-without-tensors", "P-16", b"\x80\x02]q\x00h\x00a.")
    yield bad("cycle", "P-16", b"\x80\x02]q\x00(" + tensor() + b"h\x00e.")
    yield bad("deep", "P-16", b"\x80\x02" + b"](" * 100 + tensor() + b"e" * 100 + b".")
    yield bad("laughs-with-tensors", "P-16", b"\x80\x02}(" + U("x") + b"](" + tensor() + b"eq\x00" + b"".join(U(f"x{level}") + b"](" + (b"h" + bytes([level])) * 10 + b"eq" + bytes([level + 1]) for level in range(20)) + b"u.")
    # P-17: names
    yield bad("name-twice", "P-17", state(w, w))
    yield bad("name-joined", "P-17", state(("a.b", tensor()), ("a", b"}" + U("b") + tensor() + b"s")))
    # P-18: the older form
    yield reject("stack-magic", "P-18", stack(older, magic=b"\x80\x02\x8a\x0a" + bytes(9) + b"\x01."))
    yield reject("stack-magic-number", "P-18", stack(older, magic=b"\x80\x02K\x01."))
    yield reject("stack-magic-eval", "P-9", stack(older, magic=b"\x80\x02" + G("builtins", "eval") + U("0x1950a86a20f9469cfc6c") + b"\x85R."))
    yield reject("stack-version", "P-18", stack(older, version=1000))
    yield reject("stack-big-endian", "P-18", stack(older, system=SYSTEM.replace(b"\x88u", b"\x89u")))
    yield reject("stack-system", "P-18", stack(older, system=b"\x80\x02N."))
    yield reject("stack-keys-none", "P-14", stack(older, keys=(), storages=()))
    yield reject("stack-keys-twice", "P-18", stack(older, keys=("0", "0"), storages=((4, FOUR), (4, FOUR))))
    yield reject("stack-keys-other", "P-18", stack(older, keys=("1",)))
    yield reject("stack-count", "P-14", stack(older, storages=((3, FOUR[:12]),)))
    yield reject("stack-count-negative", "P-14", stack(older, storages=((-1, FOUR),)))
    yield reject("stack-cut", "P-18", stack(older)[:-1])
    yield reject("stack-cut-count", "P-18", stack(older)[:-20])
    yield reject("stack-behind", "P-18", stack(older, behind=b"x"))
    yield reject("stack-pickle-cut", "P-5", stack(older)[:60])
    yield reject("bare-pickle", "P-18", b"\x80\x02}.")
    yield reject("bare-global", "P-9", b"\x80\x02" + G("posix", "system") + U("echo") + b"\x85R.", 2)
    # the archive itself
    whole = checkpoint(good)
    yield reject("zip-cut", "zip Z-1", whole[:-1])
    yield reject("zip-checksum", "zip Z-14", whole.replace(b"_rebuild_tensor_v2", b"_rebuild_tensor_v1"))


def torch_reference(path):
    try:
        torch.load(path, weights_only=True, map_location="cpu")
        return "accept"
    except Exception:
        return "reject"


# --- NumPy ---------------------------------------------------------------------------------------------------------------


def array(header, data=b"", version=(1, 0), length=None, magic=b"\x93NUMPY"):
    header = header if isinstance(header, bytes) else header.encode()
    size = struct.pack("<H" if version[0] == 1 else "<I", len(header) if length is None else length)
    return magic + bytes(version) + size + header + data


def described(descr="'<f4'", order="False", shape="(4,)", more="", end="\n"):
    return f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, {more}}}{end}"


def numpy_vectors():
    """Yields (verdict, name with suffix, bytes, facts)."""

    def accept(name, data, *arrays, suffix=".npy", keeps=None):
        """`keeps`: the rule whose limit the file just reaches, or whose exceptions it takes."""
        return "accept", name + suffix, data, ({"keeps": "numpy " + keeps} if keeps else {}) | {"tensors": list(arrays)}

    def reject(name, rule, data, at=None, suffix=".npy"):
        facts = {"rule": rule if " " in rule else "numpy " + rule}
        if at is not None:
            facts["offset"] = data.index(at.encode()) if isinstance(at, str) else at
        return "reject", name + suffix, data, facts

    def held(name="array", dtype="F32", shape=(4,), data=FOUR):
        return {"name": name, "dtype": dtype, "shape": list(shape), "bytes": data.hex()}

    yield accept("plain", array(described(), FOUR), held(), keeps="N-1")
    yield accept("no-padding", array(described(end=""), FOUR), held(), keeps="N-4")
    yield accept("blanks", array(described(end="\t\n \n").replace(" ", "\t "), FOUR), held(), keeps="N-4")
    yield accept("double-quotes", array(described().replace("'", '"'), FOUR), held())
    yield accept("order-of-keys", array("{'shape': (4,), 'descr': '<f4', 'fortran_order': False}", FOUR), held(), keeps="N-5")
    yield accept("tight", array("{'shape':(4,),'descr':'<f4','fortran_order':False}", FOUR), held())
    yield accept("longs", array(described(shape="(4L,)"), FOUR), held(), keeps="N-7")
    yield accept("trailing-comma", array(described(shape="(2, 2,)"), FOUR), held(shape=(2, 2)))
    yield accept("ranks", array(described(shape="(" + "1, " * 64 + ")"), FOUR[:4]), held(shape=(1,) * 64, data=FOUR[:4]), keeps="N-7")
    yield accept("scalar", array(described(shape="()"), FOUR[:4]), held(shape=(), data=FOUR[:4]))
    yield accept("empty", array(described(shape="(0, 3)")), held(shape=(0, 3), data=b""), keeps="N-9")
    yield accept("most-elements", array(described(shape="(9223372036854775807, 0)")), held(shape=(9223372036854775807, 0), data=b""), keeps="N-8")
    yield accept("header-to-the-end", array("{'shape':(0,),'descr':'<f4','fortran_order':False}"), held(shape=(0,), data=b""), keeps="N-3")
    yield accept("version-2", array(described(), FOUR, (2, 0)), held(), keeps="N-2")
    yield accept("version-3", array(described(), FOUR, (3, 0)), held(), keeps="N-2")
    yield accept("header-longest", array(described(end="") .ljust(65534) + "\n", FOUR), held())
    yield accept("header-limit", array(described(end="") .ljust(65535) + "\n", FOUR, (2, 0)), held(), keeps="N-3")
    swapped = struct.pack(">4f", 1, 2, 3, 4)
    yield accept("big-endian", array(described("'>f4'"), swapped), held())
    yield accept("big-endian-complex", array(described("'>c8'", shape="(2,)"), swapped), held(dtype="C64", shape=(2,)))
    yield accept("fortran", array(described(order="True", shape="(2, 2)"), FOUR), held(shape=(2, 2), data=struct.pack("<4f", 1, 3, 2, 4)))
    yield accept("fortran-big-endian", array(described("'>f4'", "True", "(2, 2)"), swapped), held(shape=(2, 2), data=struct.pack("<4f", 1, 3, 2, 4)))
    yield accept("fortran-vector", array(described(order="True"), FOUR), held())
    for descr, dtype in (("|b1", "BOOL"), ("|u1", "U8"), ("|i1", "I8"), ("<u1", "U8"), ("<u2", "U16"), ("<i2", "I16"), ("<f2", "F16"), ("<u4", "U32"), ("<i4", "I32"), ("<u8", "U64"), ("<i8", "I64"), ("<f8", "F64"), ("<c8", "C64"), (">i1", "I8")):
        width = int(descr[2])
        data = bytes([1, 0, 1, 1]) if dtype == "BOOL" else bytes(range(4 * width))
        marked = width == 1 and descr[0] != "|"
        yield accept("type-" + descr[1:] + ("-marked" if marked else ""), array(described(f"'{descr}'"), data), held(dtype=dtype, data=data), **({"keeps": "N-6"} if marked else {}))
    yield accept("type-b1-other", array(described("'|b1'"), bytes([0, 1, 2, 255])), held(dtype="BOOL", data=bytes([0, 1, 2, 255])))

    # N-1, N-2, N-3: the preamble
    whole = array(described(), FOUR)
    for length in (0, 3, 8, 9):
        yield reject(f"magic-{length}-bytes", "N-1", whole[:length], 0)
    yield reject("magic-11-bytes", "N-1", array(described(), FOUR, (2, 0))[:11], 0)
    for label, magic in (("short", b"\x93NUMP\0"), ("text", b"NUMPY!"), ("ascii", b"\x13NUMPY"), ("lower", b"\x93numpy")):
        yield reject(f"magic-{label}", "N-1", array(described(), FOUR, magic=magic), 0)
    for version in ((0, 0), (4, 0), (1, 1), (2, 1), (0, 2), (255, 255)):
        yield reject(f"version-{version[0]}-{version[1]}", "N-2", array(described(), FOUR, version), 6)
    yield reject("header-huge", "N-3", array(b"", version=(2, 0), length=0xFFFFFFF0), 8)
    yield reject("header-limit", "N-3", array(described().ljust(65537), FOUR, (2, 0)), 8)
    yield reject("header-cut", "N-3", whole[:40], 10)
    yield reject("header-1-short", "N-3", array(described(shape="(0,)"))[:-1], 10)
    # N-4: the literal
    for label, header in (("list", "[1]"), ("call", "__import__('os').system('x')"), ("call-value", described(shape="__import__('os')")), ("behind", described(end="") + "; import os"), ("behind-nul", described(end="") + "\0"), ("parentheses", "(" * 10000), ("open", "{'descr': '<f4'"),
                          ("nothing", ""), ("no-comma", "{'descr': '<f4' 'fortran_order': False}"), ("no-colon", "{'descr' '<f4'}"), ("escape", "{'desc\\x72': '<f4'}"), ("number-key", "{1: 2}"), ("unclosed", "{'descr: 1}"), ("true", described(order="1")), ("none", described(order="None"))):
        yield reject(f"literal-{label}", "N-4", array(header, FOUR))
    # N-5: keys and kinds
    for label, header in (("none", "{}"), ("missing", "{'descr': '<f4', 'shape': (4,)}"), ("extra", described(more="'x': True")), ("twice", described(more="'descr': '<f4'")), ("order-text", described(order="'True'")), ("shape-text", described(shape="'4'")), ("descr-tuple", described("(4,)"))):
        yield reject(f"keys-{label}", "N-5", array(header, FOUR))
    # N-6: element types
    for label, descr in (("object", "'|O'"), ("object-plain", "'O'"), ("structured", "[('a', '<f4'), ('b', '<i4')]"), ("structured-object", "[('a', '|O')]"), ("unicode", "'<U4'"), ("bytes", "'|S4'"), ("time", "'<M8[ns]'"), ("void", "'|V2'"), ("bfloat16", "'<V2'"),
                         ("complex128", "'<c16'"), ("longdouble", "'<f16'"), ("native", "'=f4'"), ("unmarked", "'f4'"), ("wide-no-order", "'|f4'"), ("unknown", "'<x4'"), ("empty", "''"), ("words", "'float32'"), ("native-byte", "'=u1'")):
        yield reject(f"type-{label}", "N-6", array(described(descr), FOUR))
    # N-7: extents
    for label, shape in (("negative", "(-1,)"), ("float", "(4.0,)"), ("call", "(np.int64(1),)"), ("parentheses", "(4)"), ("nested", "((4,),)"), ("zeros", "(04,)"), ("two-longs", "(4LL,)"), ("comma", "(,)"), ("text", "('4',)"), ("ranks", "(" + "1, " * 65 + ")")):
        yield reject(f"shape-{label}", "N-7", array(described(shape=shape), FOUR))
    # N-8: sizes
    for label, shape in (("2-to-64", "(18446744073709551616,)"), ("product", "(4294967296, 4294967296)"), ("bytes", "(4611686018427387904,)"), ("2-to-63", "(9223372036854775808, 0)"), ("first-bytes", "(2305843009213693952,)")):
        yield reject(f"overflow-{label}", "N-8", array(described(shape=shape), FOUR))
    # N-9: elements
    yield reject("data-short", "N-9", whole[:-1], len(whole) - 16)
    yield reject("data-none", "N-9", array(described(shape="(1125899906842624,)")))
    yield reject("data-none-most", "N-9", array(described(shape="(2305843009213693951,)")))
    yield reject("data-long-empty", "N-9", array(described(shape="(0,)")) + b"\0")
    yield reject("data-long", "N-9", whole + b"\0", len(whole))
    # archives
    one = array(described(), FOUR)
    yield accept("archive", Zip().add("a.npy", one).add("b/c.npy", array(described(shape="(2, 2)"), FOUR)).close(), held("a"), held("b/c", shape=(2, 2)), suffix=".npz")
    yield accept("archive-deflated", Zip().add("a.npy", one, method=8).add("b.npy", array(described(order="True", shape="(2, 2)"), FOUR), method=8).close(), held("a"),
                 held("b", shape=(2, 2), data=struct.pack("<4f", 1, 3, 2, 4)), suffix=".npz")
    yield accept("archive-none", Zip().close(), suffix=".npz")
    yield accept("archive-others", Zip().add("a.npy", one).add("note.txt", b"text").close(), held("a"), suffix=".npz")
    yield accept("archive-nested", Zip().add("a.npy", one).add("b.npz", Zip().add("c.npy", one).close()).close(), held("a"), suffix=".npz")
    yield reject("archive-object", "N-6", Zip().add("a.npy", array(described("'|O'"), FOUR)).close(), suffix=".npz")
    yield reject("archive-bomb", "N-9", Zip().add("a.npy", array(described(shape="(1125899906842624,)"))).close(), suffix=".npz")
    yield reject("archive-text", "N-1", Zip().add("a.npy", b"just some text here").close(), suffix=".npz")
    yield reject("archive-twice", "zip Z-9", Zip().add("a.npy", one).add("a.npy", one).close(), suffix=".npz")
    yield reject("archive-cut", "zip Z-1", Zip().add("a.npy", one).close()[:-3], suffix=".npz")


def numpy_reference(path):
    try:
        loaded = numpy.load(path, allow_pickle=False)
        if path.suffix == ".npz":
            for name in loaded.files:
                loaded[name]
        return "accept"
    except Exception:
        return "reject"


# --- Golden files ----------------------------------------------------------------------------------------------------------


def golden_state():
    """The tensors of the golden checkpoints, with what isn't a tensor, as a program would save them."""
    generator = torch.Generator().manual_seed(11)
    base = torch.randn(6, 8, generator=generator)
    weight = torch.randn(4, 6, generator=generator)
    raw = torch.arange(48, dtype=torch.uint8)
    types = [torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.complex64]
    ordered = torch.nn.Linear(3, 2).state_dict()
    ordered["weight"], ordered["bias"] = torch.arange(6.0).reshape(2, 3), torch.tensor([1.5, -2.5])
    return {
        "linear": {"weight": torch.nn.Parameter(weight), "bias": torch.full((4,), 0.25)},
        "tied": weight,
        "module": ordered,
        "views": {
            "base": base, "rows": base[2:5], "columns": base[:, 1:7:2], "transposed": base.t(), "one": base[3, 4], "expanded": base[0].expand(3, 8),
            "permuted": torch.arange(24, dtype=torch.int16).reshape(2, 3, 4).permute(2, 0, 1), "empty": base[:0], "windows": base.flatten().as_strided((5, 4), (3, 1)),
        },
        "types": {str(kind)[6:]: raw.clone().view(kind) for kind in types} | {"bool": torch.tensor([True, False, True])},
        "optimizer": {"state": {0: {"step": torch.tensor(3.0), "exp_avg": torch.zeros(4, 6)}}, "param_groups": [{"lr": 0.001, "betas": (0.9, 0.999), "params": [0, 1]}]},
        "epoch": 3,
        "version": "2.4.0",
    }


def newer_types():
    """Dtypes that only the archive form holds."""
    raw = torch.arange(32, dtype=torch.uint8)
    return {str(kind)[6:]: raw.clone().view(kind) for kind in (torch.float8_e4m3fn, torch.float8_e5m2, torch.float8_e4m3fnuz, torch.float8_e5m2fnuz, torch.float8_e8m0fnu, torch.uint16, torch.uint32, torch.uint64)}


def flattened(value, path=""):
    if isinstance(value, torch.Tensor):
        return {path: value.detach().clone().contiguous()}
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, (list, tuple)) else ()
    return {name: tensor for key, item in items for name, tensor in flattened(item, f"{path}.{key}" if path else str(key)).items()}


def write_golden_pytorch():
    folder = fresh(GOLDEN / "pytorch")
    torch.save(golden_state(), folder / "archive.pt")
    torch.save(golden_state(), folder / "protocol-4.pt", pickle_protocol=4)
    torch.save(golden_state(), folder / "stack.pt", _use_new_zipfile_serialization=False)
    torch.save(newer_types(), folder / "newer.pt")
    # A file as a big-endian machine writes it: torch itself reads it back as the same tensors.
    original, swapped = zipfile.ZipFile(folder / "archive.pt"), io.BytesIO()
    unpickled = torch.load(folder / "archive.pt", weights_only=True)
    widths = {}

    class Reader(torch.serialization._weights_only_unpickler.Unpickler):
        def persistent_load(self, identity):
            kind, storage_type, key, location, count = identity
            dtype = storage_type.dtype
            widths[key] = 4 if dtype == torch.complex64 else torch.empty((), dtype=dtype).element_size()
            return torch.storage.TypedStorage(wrap_storage=torch.UntypedStorage(count * torch.empty((), dtype=dtype).element_size()), dtype=dtype, _internal=True)

    Reader(io.BytesIO(original.read("archive/data.pkl"))).load()
    with zipfile.ZipFile(swapped, "w") as archive:
        for name in original.namelist():
            data = original.read(name)
            if name == "archive/byteorder":
                data = b"big"
            if name.startswith("archive/data/") and (width := widths[name.split("/")[-1]]) > 1:
                data = numpy.frombuffer(data, f"u{width}").byteswap().tobytes()
            archive.writestr(zipfile.ZipInfo(name), data)
    (folder / "big-endian.pt").write_bytes(swapped.getvalue())
    again = flattened(torch.load(folder / "big-endian.pt", weights_only=True))
    expected = flattened(unpickled)
    assert all(torch.equal(again[name].view(torch.uint8), expected[name].view(torch.uint8)) if expected[name].dim() else torch.equal(again[name], expected[name]) for name in expected), "torch reads the big-endian file otherwise"
    save_file(expected, folder / "expected.safetensors")
    save_file(flattened(newer_types()), folder / "newer.safetensors")
    sharded = fresh(folder / "sharded")
    parts = [{"embed.weight": torch.arange(12.0).reshape(4, 3), "a": torch.ones(2, dtype=torch.bfloat16)}, {"b": torch.arange(3)}]
    parts[0]["head.weight"] = parts[0]["embed.weight"]
    names = [f"pytorch_model-{i + 1:05}-of-00002.bin" for i in range(2)]
    for name, part in zip(names, parts):
        torch.save(part, sharded / name)
    index = {"metadata": {"total_size": 48 + 4 + 24}, "weight_map": {key: name for name, part in zip(names, parts) for key in part}}
    (sharded / "pytorch_model.bin.index.json").write_text(json.dumps(index, indent=2, sort_keys=True) + "\n")


def golden_arrays():
    generator = numpy.random.default_rng(5)
    matrix = generator.standard_normal((5, 7))
    kinds = ("?", "u1", "i1", "u2", "i2", "f2", "u4", "i4", "f4", "u8", "i8", "f8", "c8")
    return {f"types/{kind}": (generator.random(6) < 0.5) if kind == "?" else (generator.random(6) * 100).astype(kind) for kind in kinds} | {
        "fortran": numpy.asfortranarray(matrix.astype("f4")), "fortran3": numpy.asfortranarray(generator.random((2, 3, 4)).astype("f2")), "big": matrix.astype(">f8"), "bigfortran": numpy.asfortranarray(matrix.astype(">i4")),
        "bigcomplex": (matrix + 1j).astype(">c8"), "scalar": numpy.float32(2.5), "none": numpy.zeros((0, 3), "i8"), "naïve": numpy.arange(3, dtype="u2")}


def write_golden_numpy():
    folder = fresh(GOLDEN / "numpy")
    arrays = golden_arrays()
    numpy.savez(folder / "arrays.npz", **arrays)
    numpy.savez_compressed(folder / "compressed.npz", **arrays)
    for version in ((1, 0), (2, 0), (3, 0)):
        with open(folder / f"version-{version[0]}.npy", "wb") as file:
            numpy.lib.format.write_array(file, arrays["fortran"], version=version)
    save_file({name: torch.from_numpy(numpy.ascontiguousarray(value).astype(numpy.asarray(value).dtype.newbyteorder("="))).reshape(numpy.shape(value)) for name, value in arrays.items()}, folder / "expected.safetensors")


def main():
    warnings.simplefilter("ignore")
    chosen = sys.argv[1:] or ["zip", "pytorch", "numpy", "golden"]
    if "zip" in chosen:
        write_vectors(FORMATS / "zip", ".zip", zip_vectors(), zip_reference)
    if "pytorch" in chosen:
        write_vectors(FORMATS / "pytorch", ".pt", pytorch_vectors(), torch_reference)
    if "numpy" in chosen:
        write_vectors(FORMATS / "numpy", "", numpy_vectors(), numpy_reference)
    if "golden" in chosen:
        write_golden_pytorch()
        write_golden_numpy()


if __name__ == "__main__":
    main()
