"""HDF5 files made by h5py: what Graft must read, and what it must refuse.

    golden/hdf5/tree.h5        a tree with every element type, layout and filter that is read
    golden/hdf5/tree.json      its tensors as Graft must see them: [{name, dtype, shape, bytes}], bytes in hexadecimal
    ../Formats/hdf5/accept     small files that are legal in an unusual way; each holds `x` = 0, 1, 2, 3 in f32
    ../Formats/hdf5/reject     small files that are refused; vectors.json says by which rule
"""

import json
import pathlib
import zlib

import h5py
import hdf5plugin
import numpy

FIXTURES = pathlib.Path(__file__).resolve().parent.parent
GOLDEN = FIXTURES / "golden" / "hdf5"
FORMAT = FIXTURES.parent / "Formats" / "hdf5"

NAMES = {
    "float16": "F16", "float32": "F32", "float64": "F64", "complex64": "C64", "bool": "BOOL",
    **{f"{sign}int{bits}": f"{letter}{bits}" for sign, letter in (("", "I"), ("u", "U")) for bits in (8, 16, 32, 64)},
}


def float_type(bits: int, exponent_bits: int, bias: int) -> h5py.h5t.TypeID:
    """A little-endian float of other fields than numpy has: sign, exponent, mantissa, from the top."""
    kind = h5py.h5t.IEEE_F32LE.copy()
    mantissa_bits = bits - 1 - exponent_bits
    kind.set_fields(bits - 1, mantissa_bits, exponent_bits, 0, mantissa_bits)
    kind.set_size(bits // 8)
    kind.set_ebias(bias)
    return kind


def raw_dataset(file: h5py.File, name: str, kind: h5py.h5t.TypeID, array: numpy.ndarray) -> None:
    """Stores bytes as elements of a type that numpy doesn't have."""
    links = h5py.h5p.create(h5py.h5p.LINK_CREATE)
    links.set_create_intermediate_group(True)
    space = h5py.h5s.create_simple(array.shape)
    dataset = h5py.h5d.create(file.id, name.encode(), kind, space, lcpl=links)
    dataset.write(h5py.h5s.ALL, h5py.h5s.ALL, array, mtype=kind)


def tree() -> None:
    random = numpy.random.default_rng(5)
    expected = []

    def note(name: str, array: numpy.ndarray, dtype: str | None = None) -> None:
        native = numpy.ascontiguousarray(array.astype(array.dtype.newbyteorder("<")))
        kind = dtype or NAMES[array.dtype.newbyteorder("=").name]
        shape = list(array.shape)
        expected.append({"name": name.replace("/", "."), "dtype": kind, "shape": shape, "bytes": native.tobytes().hex()})

    with h5py.File(GOLDEN / "tree.h5", "w") as file:
        file.attrs["backend"] = "tensorflow"
        file.attrs["fixed"] = numpy.bytes_("padded")
        file.attrs["number"] = 5

        def add(name: str, array: numpy.ndarray, **options) -> None:
            file.create_dataset(name, data=array, **options)
            note(name, array)

        for kind in ("float16", "float32", "float64"):
            add(f"types/{kind}", random.standard_normal((3, 5)).astype(kind))
            add(f"types/big/{kind}", random.standard_normal((3, 5)).astype(numpy.dtype(kind).newbyteorder(">")))
        for kind in ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"):
            info = numpy.iinfo(kind)
            array = numpy.array([info.min, info.max, 1, 2, 3], kind)
            add(f"types/{kind}", array)
            add(f"types/big/{kind}", array.astype(array.dtype.newbyteorder(">")))
        add("types/bool", numpy.array([[True, False, True]]))
        add("types/complex64", (random.standard_normal(4) + 1j * random.standard_normal(4)).astype("complex64"))
        for name, kind, dtype in (
            ("types/bfloat16", float_type(16, 8, 127), "BF16"), ("types/f8_e5m2", float_type(8, 5, 15), "F8_E5M2"),
        ):
            array = random.integers(0, 256, (4, 6 * kind.get_size())).astype("uint8").view(f"u{kind.get_size()}")
            raw_dataset(file, name, kind, array)
            note(name, array, dtype)

        add("shapes/scalar", numpy.float32(2.5).reshape(()))
        add("shapes/empty", numpy.zeros((0, 7), "float32"))
        add("shapes/deep/er/still", numpy.arange(24, dtype="int16").reshape(2, 3, 4))

        table = random.integers(0, 9, (50, 23)).astype("float32")
        add("filters/none", table, chunks=(16, 10))
        add("filters/gzip", table, chunks=(16, 10), compression="gzip")
        add("filters/gzip_shuffle", table, chunks=(16, 10), compression="gzip", shuffle=True)
        add("filters/fletcher32", table, chunks=(16, 10), fletcher32=True)
        add("filters/fletcher32_odd", random.integers(0, 9, 33).astype("uint8"), chunks=(11,), fletcher32=True)
        add("filters/all", table, chunks=(7, 23), compression="gzip", shuffle=True, fletcher32=True)
        add("filters/big", table.astype(">f4"), chunks=(16, 10), compression="gzip", shuffle=True)
        add("filters/zstd", table, chunks=(16, 10), **hdf5plugin.Zstd(clevel=5))
        add("filters/zstd_shuffle", table, chunks=(16, 10), shuffle=True, **hdf5plugin.Zstd())
        add("filters/cube", random.integers(0, 9, (5, 6, 7)).astype("int32"), chunks=(2, 4, 3), compression="gzip")
        add("filters/growing", table[:3], chunks=(16, 10), maxshape=(None, None), compression="gzip")

        file.create_dataset("fill/contiguous", (2, 3), "float32", fillvalue=7)
        note("fill/contiguous", numpy.full((2, 3), 7, "float32"))
        sparse = file.create_dataset("fill/chunked", (9, 9), ">i4", chunks=(4, 4), fillvalue=-5)
        sparse[5:7, 1:3] = 3
        note("fill/chunked", sparse[()])
        compact = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        compact.set_layout(h5py.h5d.COMPACT)
        array = numpy.arange(6, dtype="float64").reshape(2, 3)
        space = h5py.h5s.create_simple(array.shape)
        h5py.h5d.create(file.id, b"compact", h5py.h5t.IEEE_F64BE, space, compact).write(h5py.h5s.ALL, h5py.h5s.ALL, array)
        note("compact", array)

    expected.sort(key=lambda tensor: tensor["name"].split("."))
    (GOLDEN / "tree.json").write_text(json.dumps(expected, indent=1) + "\n")


def accepted() -> None:
    x = numpy.arange(4, dtype="float32")
    for name, options in {
        "user-block": {"userblock_size": 512},
        "latest": {"libver": ("v110", "v110")},
        "version-1.8": {"libver": ("v108", "v108")},
        "creation-order": {"track_order": True},
    }.items():
        with h5py.File(FORMAT / "accept" / f"{name}.h5", "w", **options) as file:
            file["x"] = x
    with h5py.File(FORMAT / "accept" / "named-type.h5", "w") as file:
        file["type"] = numpy.dtype("float32")
        file["x"] = x
    with h5py.File(FORMAT / "accept" / "empty-groups.h5", "w") as file:
        file.create_group("a/b/c")
        file["x"] = x


def rejected() -> None:
    vectors = []

    def reject(name: str, rule: str, **options) -> h5py.File:
        vectors.append({"file": f"{name}.h5", "rule": rule})
        return h5py.File(FORMAT / "reject" / f"{name}.h5", "w", **options)

    with reject("soft-link", "H-4") as file:
        file["x"] = numpy.zeros(3)
        file["y"] = h5py.SoftLink("/x")
    with reject("external-link", "H-4") as file:
        file["x"] = h5py.ExternalLink("other.h5", "/x")
    with reject("external-link-on-the-way", "H-4") as file:
        file["model/layer"] = h5py.ExternalLink("other.h5", "/")
    with reject("cycle", "H-5") as file:
        file.create_group("a/b")
        file["a/b/up"] = file["a"]
    with reject("external-storage", "H-6") as file:
        file.create_dataset("x", (3,), "uint8", external=[("other.bin", 0, 3)])
    with reject("virtual", "H-6") as file:
        layout = h5py.VirtualLayout((3,), "float32")
        layout[:] = h5py.VirtualSource("other.h5", "x", (3,))
        file.create_virtual_dataset("x", layout)
    with reject("string", "H-7") as file:
        file["x"] = ["a", "b"]
    with reject("reference", "H-7") as file:
        file.create_dataset("x", (2,), h5py.ref_dtype)
    with reject("compound", "H-7") as file:
        file["x"] = numpy.zeros(3, [("a", "f4"), ("b", "i4")])
    with reject("e4m3-as-ieee", "H-7") as file:
        raw_dataset(file, "x", float_type(8, 4, 7), numpy.zeros(3, "uint8"))
    with reject("null-space", "H-8") as file:
        file["x"] = h5py.Empty("f4")
    with reject("shape-bomb", "H-8") as file:
        file.create_dataset("x", (1 << 50,), "float64", chunks=(1024,), compression="gzip")
    with reject("shape-without-storage", "H-8") as file:
        file.create_dataset("x", (10**6, 10**6), "float32")
    with reject("giant-chunk", "H-9") as file:
        file.create_dataset("x", (1 << 29,), "uint8", chunks=(1 << 29,))
    with reject("lzf", "H-10") as file:
        file.create_dataset("x", (64,), "float32", compression="lzf")
    with reject("fletcher32-wrong", "H-12") as file:
        x = file.create_dataset("x", data=numpy.arange(64, dtype="float32"), chunks=(64,), fletcher32=True)
        stored = bytearray(x.id.read_direct_chunk((0,))[1])
        stored[5] ^= 1
        x.id.write_direct_chunk((0,), bytes(stored))
    with reject("deflate-bomb", "H-12") as file:
        x = file.create_dataset("x", (64,), "float32", chunks=(64,), compression="gzip")
        x.id.write_direct_chunk((0,), zlib.compress(bytes(1 << 20)))
    with reject("deflate-short", "H-12") as file:
        x = file.create_dataset("x", (64,), "float32", chunks=(64,), compression="gzip")
        x.id.write_direct_chunk((0,), zlib.compress(bytes(100)))
    with reject("same-name", "H-14") as file:
        file["a/b"] = numpy.zeros(1)
        file["a.b"] = numpy.zeros(1)
    with reject("layout-version", "H-13") as file:
        file.attrs["graft.version"] = 2
    with reject("same-index", "H-15") as file:
        file.attrs["graft.version"] = 1
        for name in "xy":
            file[name] = numpy.zeros(1)
            file[name].attrs["graft.index"] = 0
    with reject("bad-escape", "H-14") as file:
        file.attrs["graft.version"] = 1
        file["100%"] = numpy.zeros(1)
    with reject("block-without-shape", "H-16") as file:
        file.attrs["graft.version"] = 1
        kind = h5py.h5t.create(h5py.h5t.OPAQUE, 1)
        kind.set_tag(b"F4")
        raw_dataset(file, "x", kind, numpy.zeros(4, "V1"))
    with reject("file-name-leaves", "H-17") as file:
        file.attrs["graft.version"] = 1
        file[".files/c:config"] = numpy.zeros(1, "uint8")
    with reject("metadata-not-text", "H-18") as file:
        file.attrs["graft.version"] = 1
        file[".metadata"] = numpy.frombuffer(b'{"a": 1}', "uint8")

    original = (FORMAT / "accept" / "version-1.8.h5").read_bytes()
    for name, rule, change in (
        ("no-signature", "H-1", lambda bytes: bytes.__setitem__(0, 0)),
        ("superblock-version", "H-2", lambda bytes: bytes.__setitem__(8, 9)),
        ("address-size", "H-2", lambda bytes: bytes.__setitem__(9, 3)),
        ("base-address", "H-2", lambda bytes: bytes.__setitem__(12, 1)),
        ("end-past-file", "H-2", lambda bytes: bytes.__setitem__(33, 0xFF)),
        ("root-past-end", "H-2", lambda bytes: bytes.__setitem__(38, 0xFF)),
        ("superblock-checksum", "H-3", lambda bytes: bytes.__setitem__(44, bytes[44] ^ 1)),
    ):
        vectors.append({"file": f"{name}.h5", "rule": rule})
        changed = bytearray(original)
        change(changed)
        (FORMAT / "reject" / f"{name}.h5").write_bytes(changed)
    (FORMAT / "vectors.json").write_text(json.dumps(vectors, indent=1) + "\n")


if __name__ == "__main__":
    for folder in (GOLDEN, FORMAT / "accept", FORMAT / "reject"):
        folder.mkdir(parents=True, exist_ok=True)
    tree()
    accepted()
    rejected()
