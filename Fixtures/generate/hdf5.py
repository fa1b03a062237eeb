"""HDF5 files made by h5py: what Graft must read, and what it must refuse.

    golden/hdf5/tree.h5        a tree with every element type, layout and filter that is read
    golden/hdf5/tree.json      its tensors as Graft must see them: [{name, dtype, shape, bytes}], bytes in hexadecimal
    golden/hdf5/latest.h5      the structures of the newest format: large groups, every index of chunks
    golden/hdf5/latest.json    its tensors
    golden/hdf5/attributes.h5    attributes of every type on the root, groups and datasets, and groups with nothing in them
    golden/hdf5/attributes.json  those that another file can hold, by object: [{object, name, dtype, shape, bytes}], or texts for a dtype
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


def latest() -> None:
    """The structures that only `libver="latest"` writes, large enough for pages, groups of blocks and trees of levels."""
    random = numpy.random.default_rng(7)
    expected = []

    def note(name: str, array: numpy.ndarray) -> None:
        expected.append({"name": name.replace("/", "."), "dtype": NAMES[array.dtype.name], "shape": list(array.shape), "bytes": array.tobytes().hex()})

    with h5py.File(GOLDEN / "latest.h5", "w", libver="latest") as file:
        def add(name: str, array: numpy.ndarray, **options) -> h5py.Dataset:
            note(name, array)
            return file.create_dataset(name, data=array, **options)

        for number in range(260):
            add(f"many/{'link' * (1 + number % 9)}_{number}", numpy.array([number % 251], "uint8"))
        plain = random.integers(0, 9, 1500).astype("uint8")
        table = random.integers(0, 9, (70, 50)).astype("int16")
        add("index/single", table, chunks=(70, 50))
        add("index/single_filtered", table, chunks=(70, 50), compression="gzip")
        add("index/fixed", table, chunks=(16, 16))
        add("index/fixed_filtered", table, chunks=(16, 16), compression="gzip", shuffle=True)
        add("index/fixed_pages", plain, chunks=(1,))
        add("index/fixed_bounded", table, chunks=(16, 16), maxshape=(90, 200))
        add("index/extensible", plain, chunks=(1,), maxshape=(None,))
        add("index/extensible_filtered", plain, chunks=(2,), maxshape=(None,), fletcher32=True)
        add("index/extensible_second_axis", table, chunks=(8, 4), maxshape=(100, None))
        add("index/tree", table, chunks=(1, 2), maxshape=(None, None))
        add("index/tree_filtered", table, chunks=(8, 4), maxshape=(None, None), compression="gzip")
        # Chunks at the edge that no filter touched.
        properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        properties.set_chunk((16, 16))
        properties.set_deflate(4)
        properties.set_chunk_opts(h5py.h5d.CHUNK_DONT_FILTER_PARTIAL_CHUNKS) if hasattr(properties, "set_chunk_opts") else None
        h5py.h5d.create(file["index"].id, b"edges", h5py.h5t.STD_I16LE, h5py.h5s.create_simple(table.shape), properties).write(h5py.h5s.ALL, h5py.h5s.ALL, table)
        note("index/edges", table)
        early = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        early.set_chunk((16, 16))
        early.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
        h5py.h5d.create(file["index"].id, b"implicit", h5py.h5t.STD_I16LE, h5py.h5s.create_simple(table.shape), early).write(h5py.h5s.ALL, h5py.h5s.ALL, table)
        note("index/implicit", table)
        holes = file.create_dataset("index/holes", (1500,), "uint8", chunks=(1,), maxshape=(None,), fillvalue=9)
        for place in (0, 5, 700, 1499):
            holes[place] = 1
        note("index/holes", holes[()])
        for number in range(20):
            file["index/single"].attrs[f"attribute {number}"] = "x" * number * 10
            file.attrs[f"note {number}"] = f"text {number}" * (1 + number * 600 * (number == 13))
        file["type"] = numpy.dtype("int16")
        file.create_dataset("typed", data=table, dtype=file["type"])
        note("typed", table)
    expected.sort(key=lambda tensor: tensor["name"].split("."))
    (GOLDEN / "latest.json").write_text(json.dumps(expected) + "\n")


def attributes() -> None:
    """Attributes of every type: those that are kept are told as they must be, little-endian; the others are what conversions name."""
    expected = []
    texts, ascii, fixed = h5py.string_dtype(), h5py.string_dtype("ascii"), h5py.string_dtype("utf-8", 8)

    def note(item: h5py.Group | h5py.Dataset, name: str, **values) -> None:
        expected.append({"object": item.name.strip("/").replace("/", "."), "name": name} | values)

    def numbers(item: h5py.Group | h5py.Dataset, name: str, array: numpy.ndarray | numpy.generic) -> None:
        item.attrs.create(name, array)
        array = numpy.asarray(array)
        native = array.astype(array.dtype.newbyteorder("<"))
        note(item, name, dtype=NAMES[array.dtype.newbyteorder("=").name], shape=list(array.shape), bytes=native.tobytes().hex())

    def strings(item: h5py.Group | h5py.Dataset, name: str, value, dtype, characters: int) -> None:
        item.attrs.create(name, value, dtype=dtype)
        array = numpy.asarray(value, "O")
        note(item, name, texts=[text for text in array.ravel()], shape=list(array.shape), characters=characters)

    def padded(item: h5py.Group | h5py.Dataset, name: str, array: numpy.ndarray, kind: h5py.h5t.TypeID, characters: int, padding: int) -> None:
        space = h5py.h5s.create_simple(array.shape) if array.shape else h5py.h5s.create(h5py.h5s.SCALAR)
        h5py.h5a.create(item.id, name.encode(), kind, space).write(array, mtype=kind)
        note(item, name, bytes=array.tobytes().hex(), width=kind.get_size(), shape=list(array.shape), characters=characters, padding=padding)

    def kind(width: int, characters: int, padding: int) -> h5py.h5t.TypeID:
        kind = h5py.h5t.C_S1.copy()
        kind.set_size(width)
        kind.set_cset(characters)
        kind.set_strpad(padding)
        return kind

    with h5py.File(GOLDEN / "attributes.h5", "w", libver=("v108", "v108")) as file:
        layer, x = file.create_group("model/layer"), file.create_dataset("model/layer/x", data=numpy.arange(6, dtype="float32").reshape(2, 3))
        file.attrs["unit"] = "metres"  # a text of the root is metadata
        numbers(file, "epoch", numpy.int64(-3))
        strings(file, "axes", ["x", "", "é"], texts, 1)
        for width in (1, 2, 4, 8):
            for sign in "iu":
                info = numpy.iinfo(f"{sign}{width}")
                numbers(layer, f"{sign}{width}", numpy.array([info.min, info.max, 7], f"<{sign}{width}"))
                numbers(layer, f"{sign}{width} big-endian", numpy.array([[info.min, 7], [info.max, 1]], f">{sign}{width}"))
        for width in (2, 4, 8):
            numbers(x, f"f{width}", numpy.array([1.5, -numpy.inf, numpy.nan], f"<f{width}"))
            numbers(x, f"f{width} big-endian", numpy.array(0.1, f">f{width}"))
        numbers(x, "complex", numpy.array([1 + 2j], "complex64"))
        numbers(x, "flag", numpy.bool_(True))
        numbers(x, "flags", numpy.array([[True], [False]]))
        numbers(x, "no rows", numpy.zeros((0, 3), "float32"))
        numbers(x, "large", numpy.arange(9000, dtype="float64"))  # more than a header holds
        strings(x, "text", "grüße", texts, 1)
        strings(x, "empty text", "", texts, 1)
        strings(x, "ascii texts", [["a", "bc"], ["", "def"]], ascii, 0)
        padded(x, "NULs behind", numpy.array([b"ab", b"cdef"], "S5"), kind(5, 0, 1), 0, 1)
        padded(x, "a NUL behind", numpy.array("ü".encode(), "S8"), kind(8, 1, 0), 1, 0)
        padded(x, "spaces behind", numpy.array([[b"ab   "]], "S5"), kind(5, 0, 2), 0, 2)
        for name, dtype in (("nothing", "float16"), ("no text", texts), ("no padded text", fixed)):
            x.attrs[name] = h5py.Empty(dtype)
        note(x, "nothing", dtype="F16", shape=None, bytes="")
        note(x, "no text", texts=[], shape=None, characters=1)
        note(x, "no padded text", bytes="", width=8, shape=None, characters=1, padding=1)
        file.create_group("model/empty")
        numbers(file.create_group("model/tagged"), "weight", numpy.float32(2))

        # A dataset whose name with dots is that of a group.
        file["p.q"] = numpy.arange(3, dtype="uint8")
        file.create_group("p/q")

        # What no dtype is, and what means something in a result.
        x.attrs["reference"] = x.ref
        x.attrs["record"] = numpy.array((1, 2.0), [("a", "i4"), ("b", "f8")])
        x.attrs.create("color", 1, dtype=h5py.enum_dtype({"red": 0, "green": 1}, "u1"))
        lists = numpy.empty(1, "O")
        lists[0] = numpy.array([1, 2], "i4")
        x.attrs.create("lists", lists, dtype=h5py.vlen_dtype("i4"))
        x.attrs["long"] = numpy.longdouble(1)
        x.attrs["graft.shape"] = numpy.array([6])
        layer.attrs["weight_names"] = numpy.array([b"x"])
    (GOLDEN / "attributes.json").write_text(json.dumps(expected, ensure_ascii=False) + "\n")


def accepted() -> None:
    x = numpy.arange(4, dtype="float32")
    for name, options in {
        "lzf": {"chunks": (4,), "compression": "lzf"},
        "chunk-larger": {"chunks": (9,), "maxshape": (None,)},
        "old-chunks": {"chunks": (1,)},
    }.items():
        with h5py.File(FORMAT / "accept" / f"{name}.h5", "w") as file:
            file.create_dataset("x", data=x, **options)
    for name, options in {
        "single-chunk": {"chunks": (4,)},
        "fixed-array": {"chunks": (3,)},
        "extensible-array": {"chunks": (1,), "maxshape": (None,)},
    }.items():
        with h5py.File(FORMAT / "accept" / f"{name}.h5", "w", libver="latest") as file:
            file.create_dataset("x", data=x, **options)
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
    with h5py.File(FORMAT / "accept" / "attributes.h5", "w") as file:
        file["x"] = x
        file["x"].make_scale("a scale")
        file["x"].attrs["scale"] = numpy.float32(0.5)
        file["x"].attrs["labels"] = ["one", "two"]
        file.attrs["epoch"] = 3
        file.attrs["unit"] = "metres"
        file.attrs["nothing"] = h5py.Empty("f")
        file.create_group("g/e").attrs["scale"] = 2.0


def checksum(bytes: bytes) -> int:
    """Bob Jenkins's lookup3, which HDF5 puts behind each piece of structure."""
    rotate = lambda value, bits: (value << bits | value >> 32 - bits) & 0xFFFFFFFF
    a = b = c = 0xDEADBEEF + len(bytes) & 0xFFFFFFFF
    rest = bytes
    while True:
        words = [int.from_bytes(rest[place:place + 4].ljust(4, b"\0"), "little") for place in (0, 4, 8)]
        a, b, c = (a + words[0]) & 0xFFFFFFFF, (b + words[1]) & 0xFFFFFFFF, (c + words[2]) & 0xFFFFFFFF
        if len(rest) <= 12:
            break
        for bits in (4, 6, 8, 16, 19, 4):
            a = (a - c ^ rotate(c, bits)) & 0xFFFFFFFF
            c = (c + b) & 0xFFFFFFFF
            a, b, c = b, c, a
        rest = rest[12:]
    for bits in (14, 11, 25, 16, 4, 14, 24):
        c = ((c ^ b) - rotate(b, bits)) & 0xFFFFFFFF
        a, b, c = b, c, a
    return b


class Patched:
    """The bytes of a file, to be changed in one place."""

    def __init__(self, path: pathlib.Path) -> None:
        self.bytes = bytearray(path.read_bytes())

    def number(self, place: int, width: int) -> int:
        return int.from_bytes(self.bytes[place:place + width], "little")

    def put(self, place: int, value: int, width: int) -> None:
        self.bytes[place:place + width] = (value % (1 << 8 * width)).to_bytes(width, "little")

    def find(self, signature: bytes, nth: int = 0) -> int:
        place = -1
        for _ in range(nth + 1):
            place = self.bytes.index(signature, place + 1)
        return place

    def sign(self, start: int, end: int) -> None:
        """Puts the checksum of bytes behind them."""
        self.put(end, checksum(bytes(self.bytes[start:end])), 4)

    def message(self, header: int, kind: int) -> int:
        """Where the body of the first message of a kind stands, in a header of the old form."""
        blocks = [(header + 16, self.number(header + 8, 4))]
        while blocks:
            place, size = blocks.pop(0)
            end = place + size
            while place + 8 <= end:
                found, length = self.number(place, 2), self.number(place + 2, 2)
                if found == 0x10:
                    blocks.append((self.number(place + 8, 8), self.number(place + 16, 8)))
                if found == kind:
                    return place + 8
                place += 8 + length
        raise ValueError(f"no message {kind:#x}")


def address(path: pathlib.Path, name: str) -> int:
    with h5py.File(path) as file:
        return h5py.h5o.get_info(file[name].id).addr


def structure(vectors: list[dict]) -> None:
    """Files whose structure lies in one place, each of a kind that made libraries crash or run forever."""
    scratch = FORMAT / "reject" / "base.tmp"

    def base(write, **options) -> Patched:
        with h5py.File(scratch, "w", **options) as file:
            write(file)
        return Patched(scratch)

    def reject(name: str, rule: str, patched: Patched) -> None:
        vectors.append({"file": f"{name}.h5", "rule": rule})
        (FORMAT / "reject" / f"{name}.h5").write_bytes(patched.bytes)

    def old(file: h5py.File) -> None:
        file["x"] = numpy.arange(4, dtype="float32")
        file["x"].attrs["note"] = "a text in the heap"

    def wide(file: h5py.File) -> None:
        for number in range(24):
            file[f"tensor{number:02}"] = numpy.arange(4, dtype="float32")

    def chunked(file: h5py.File) -> None:
        file.create_dataset("x", data=numpy.arange(16, dtype="float32"), chunks=(4,), compression="gzip", shuffle=True)

    def attributes(file: h5py.File) -> None:
        file["x"] = numpy.arange(4, dtype="float32")
        for number in range(20):
            file["x"].attrs[f"attribute{number}"] = numpy.arange(9)

    # Object headers
    for name, write in {
        "header-cycle": lambda p, m: p.put(m, address(scratch, "x") + 16, 8),
        "header-far": lambda p, m: p.put(m, 1 << 40, 8),
        "header-nowhere": lambda p, m: p.put(m, -1, 8),
        "header-block-giant": lambda p, m: p.put(m + 8, 1 << 40, 8),
    }.items():
        patched = base(attributes)
        write(patched, patched.message(address(scratch, "x"), 0x10))
        reject(name, "H-20", patched)
    for name, kind, place, value, width, rule in (
        ("header-message-long", 0x03, -6, 0xFFF8, 2, "H-20"),
        ("header-message-unknown", 0x03, -8, 0x80_0014_0030, 5, "H-20"),
        ("header-without-space", 0x01, -8, 0x0D, 1, "H-21"),
        ("header-without-type", 0x03, -8, 0x0D, 1, "H-21"),
        ("space-version", 0x01, 0, 9, 1, "H-8"),
        ("space-rank-33", 0x01, 1, 33, 1, "H-8"),
        ("space-rank-255", 0x01, 1, 255, 1, "H-8"),
        ("space-extent-2-63", 0x01, 8, 1 << 63, 8, "H-8"),
        ("space-extent-2-62", 0x01, 8, 1 << 62, 8, "H-8"),
        ("space-bound-below", 0x01, 16, 3, 8, "H-8"),
        ("type-size-0", 0x03, 4, 0, 4, "H-7"),
        ("type-size-giant", 0x03, 4, 0xFFFFFFFF, 4, "H-7"),
        ("type-version-0", 0x03, 0, 0x01, 1, "H-7"),
        ("type-class-15", 0x03, 0, 0x1F, 1, "H-7"),
        ("type-precision", 0x03, 10, 31, 2, "H-7"),
        ("layout-version-9", 0x08, 0, 9, 1, "H-8"),
        ("layout-class-9", 0x08, 1, 9, 1, "H-8"),
        ("data-past-end", 0x08, 2, 1 << 40, 8, "H-8"),
        ("data-wraps", 0x08, 2, (1 << 64) - 8, 8, "H-8"),
    ):
        patched = base(old)
        patched.put(patched.message(address(scratch, "x"), kind) + place, value, width)
        reject(name, rule, patched)
    patched = base(old)
    patched.put(address(scratch, "x"), 9, 1)
    reject("header-version", "H-20", patched)
    patched = base(old)
    patched.put(address(scratch, "x") + 8, 0xFFFFFFF0, 4)
    reject("header-giant", "H-20", patched)
    patched = base(lambda file: file.create_dataset("x", (4,), "float32", fillvalue=3))
    patched.put(patched.message(address(scratch, "x"), 0x05) + 4, 3, 4)
    reject("fill-size", "H-8", patched)

    def committed(file: h5py.File) -> None:
        file["type"] = numpy.dtype("float32")
        file.create_dataset("x", data=numpy.arange(4), dtype=file["type"])

    patched = base(committed)
    patched.put(patched.message(address(scratch, "x"), 0x03) + 2, address(scratch, "/"), 8)
    reject("type-of-a-group", "H-21", patched)

    # Groups of the old kind
    for name, write in {
        "tree-cycle": lambda p, t: (p.put(t + 5, 1, 1), p.put(t + 32, t, 8)),
        "tree-level-255": lambda p, t: p.put(t + 5, 255, 1),
        "tree-of-chunks": lambda p, t: p.put(t + 4, 1, 1),
        "tree-count": lambda p, t: p.put(t + 6, 65535, 2),
        "tree-same-table": lambda p, t: p.put(t + 48, p.number(t + 32, 8), 8),
        "tree-nowhere": lambda p, t: p.put(t + 32, -1, 8),
        "tree-far": lambda p, t: p.put(t + 32, 1 << 40, 8),
        "table-count": lambda p, t: p.put(p.find(b"SNOD") + 6, 65535, 2),
        "table-version": lambda p, t: p.put(p.find(b"SNOD") + 4, 7, 1),
        "table-kind-9": lambda p, t: p.put(p.find(b"SNOD") + 8 + 16, 9, 4),
        "name-past-heap": lambda p, t: p.put(p.find(b"SNOD") + 8, 1 << 40, 8),
        "heap-far": lambda p, t: p.put(p.find(b"HEAP") + 24, 1 << 40, 8),
        "heap-giant": lambda p, t: p.put(p.find(b"HEAP") + 8, 1 << 40, 8),
        "name-with-slash": lambda p, t: p.put(p.find(b"tensor00") + 3, ord("/"), 1),
        "name-empty": lambda p, t: p.put(p.find(b"tensor00"), 0, 1),
    }.items():
        patched = base(wide)
        write(patched, patched.find(b"TREE"))
        reject(name, "H-22", patched)
    patched = base(wide)
    heap = patched.find(b"HEAP")
    start, size = patched.number(heap + 24, 8), patched.number(heap + 8, 8)
    patched.bytes[start:start + size] = b"n" * size
    reject("name-without-end", "H-22", patched)

    # Chunks
    for name, rule, write in (
        ("chunk-past-end", "H-12", lambda p, t: p.put(t + 24 + 24, 1 << 40, 8)),
        ("chunk-size-giant", "H-24", lambda p, t: p.put(t + 24, 0xFFFFFFFF, 4)),
        ("chunk-size-0", "H-24", lambda p, t: p.put(t + 24, 0, 4)),
        ("chunk-unaligned", "H-24", lambda p, t: p.put(t + 24 + 8, 1, 8)),
        ("chunk-outside", "H-24", lambda p, t: p.put(t + 24 + 8, 4000, 8)),
        ("chunk-twice", "H-24", lambda p, t: p.put(t + 24 + 32 + 8, 0, 8)),
        ("chunk-tree-cycle", "H-24", lambda p, t: (p.put(t + 5, 1, 1), p.put(t + 48, t, 8))),
        ("chunk-tree-level-255", "H-24", lambda p, t: p.put(t + 5, 255, 1)),
        ("chunk-tree-of-links", "H-24", lambda p, t: p.put(t + 4, 0, 1)),
    ):
        patched = base(chunked)
        write(patched, patched.find(b"TREE", 1))
        reject(name, rule, patched)
    patched = base(lambda file: file.create_dataset("x", data=numpy.arange(16, dtype="float32"), chunks=(4,), fletcher32=True))
    patched.put(patched.find(b"TREE", 1) + 28, 1, 4)
    reject("chunk-mask", "H-11", patched)
    for name, kind, place, value, width, rule in (
        ("chunk-extent-0", 0x08, 11, 0, 4, "H-9"),
        ("chunk-extent-giant", 0x08, 11, 0xFFFFFFFF, 4, "H-9"),
        ("chunk-rank", 0x08, 2, 1, 1, "H-9"),
        ("chunk-element-bytes", 0x08, 15, 8, 4, "H-9"),
        ("filter-count-33", 0x0B, 1, 33, 1, "H-10"),
        ("filter-version", 0x0B, 0, 9, 1, "H-10"),
        ("filter-parameters", 0x0B, 8 + 6, 65535, 2, "H-10"),
        ("filter-szip", 0x0B, 8, 4, 2, "H-10"),
    ):
        patched = base(chunked)
        patched.put(patched.message(address(scratch, "x"), kind) + place, value, width)
        reject(name, rule, patched)
    patched = base(chunked)
    body = patched.message(address(scratch, "x"), 0x0B) + 8
    name_bytes = -(-patched.number(body + 2, 2) // 8) * 8
    patched.put(body + 8 + name_bytes, 0, 4)
    reject("shuffle-by-0", "H-10", patched)

    # Attributes and their heap
    for name, write in {
        "text-object-missing": lambda p, h: p.put(h + 16, 77, 2),
        "text-object-long": lambda p, h: p.put(h + 24, 1 << 40, 8),
        "text-heap-giant": lambda p, h: p.put(h + 8, 1 << 60, 8),
        "text-heap-signature": lambda p, h: p.put(h, 0, 4),
        "text-longer-than-object": lambda p, h: p.put(h + 24, 1, 8),
        "text-object-0-bytes": lambda p, h: p.put(h + 24, 0, 8),
        "text-object-wraps": lambda p, h: p.put(h + 24, -8, 8),
        "text-object-free": lambda p, h: p.put(h + 16, 0, 2),
        # The free room behind the text, as the same object again.
        "text-object-twice": lambda p, h: (p.put(h + 56, 1, 2), p.put(h + 64, 16, 8)),
        "text-heap-8-bytes": lambda p, h: p.put(h + 8, 8, 8),
    }.items():
        patched = base(lambda file: file.attrs.__setitem__("note", "a text in the heap"))
        write(patched, patched.find(b"GCOL"))
        reject(name, "H-25", patched)
    patched = base(old)
    patched.put(patched.message(address(scratch, "x"), 0x0C) + 2, 0xFFF0, 2)
    reject("attribute-name-long", "H-25", patched)

    # The newer structures, with their checksums made right again
    def many(file: h5py.File) -> None:
        for number in range(60):
            file[f"tensor{number:03}"] = numpy.array([number], "uint8")

    def newer(name: str, rule: str, write) -> None:
        patched = base(many, libver=("v108", "v108"))
        write(patched)
        reject(name, rule, patched)

    def heap(patched: Patched, place: int, value: int, width: int) -> None:
        start = patched.find(b"FRHP")
        patched.put(start + place, value, width)
        patched.sign(start, start + 142)

    def tree(patched: Patched, place: int, value: int, width: int) -> None:
        start = patched.find(b"BTHD")
        patched.put(start + place, value, width)
        patched.sign(start, start + 34)

    def inner(patched: Patched, change) -> None:
        head = patched.find(b"BTHD")
        root, count = patched.number(head + 16, 8), patched.number(head + 24, 2)
        pointers = root + 6 + 11 * count
        change(patched, root, pointers)
        patched.sign(root, pointers + 9 * (count + 1))

    newer("heap-damaged", "H-3", lambda p: p.put(p.find(b"FRHP") + 40, 5, 1))
    newer("heap-width-3", "H-23", lambda p: heap(p, 110, 3, 2))
    newer("heap-block-0", "H-23", lambda p: heap(p, 112, 0, 8))
    newer("heap-block-giant", "H-23", lambda p: heap(p, 120, 1 << 40, 8))
    newer("heap-rows", "H-23", lambda p: heap(p, 140, 65535, 2))
    newer("heap-root-far", "H-23", lambda p: heap(p, 132, 1 << 40, 8))
    newer("heap-filtered", "H-23", lambda p: heap(p, 7, 20, 2))
    newer("tree2-record-0", "H-23", lambda p: tree(p, 10, 0, 2))
    newer("tree2-node-small", "H-23", lambda p: tree(p, 6, 12, 4))
    newer("tree2-node-giant", "H-23", lambda p: tree(p, 6, 0xFFFFFFFF, 4))
    newer("tree2-depth", "H-23", lambda p: tree(p, 12, 65535, 2))
    newer("tree2-count", "H-23", lambda p: tree(p, 24, 65535, 2))
    newer("tree2-cycle", "H-23", lambda p: inner(p, lambda p, root, pointers: p.put(pointers, root, 8)))
    newer("tree2-same-child", "H-23", lambda p: inner(p, lambda p, root, pointers: p.put(pointers + 9, p.number(pointers, 8), 8)))
    newer("tree2-child-count", "H-23", lambda p: inner(p, lambda p, root, pointers: p.put(pointers + 8, 255, 1)))
    newer("tree2-damaged", "H-3", lambda p: p.put(p.find(b"BTLF") + 20, p.number(p.find(b"BTLF") + 20, 1) ^ 1, 1))
    newer("heap-block-damaged", "H-3", lambda p: p.put(p.find(b"FHDB") + 40, p.number(p.find(b"FHDB") + 40, 1) ^ 1, 1))
    newer("header-damaged", "H-3", lambda p: p.put(p.find(b"OHDR", 1) + 12, p.number(p.find(b"OHDR", 1) + 12, 1) ^ 1, 1))

    def indexed(name: str, rule: str, options: dict, write) -> None:
        patched = base(lambda file: file.create_dataset("x", data=numpy.arange(300).astype("uint8"), **options), libver="latest")
        write(patched)
        reject(name, rule, patched)

    def table(patched: Patched, signature: bytes, place: int, value: int, width: int, length: int) -> None:
        start = patched.find(signature)
        patched.put(start + place, value, width)
        patched.sign(start, start + length)

    fixed, growing = {"chunks": (2,)}, {"chunks": (2,), "maxshape": (None,)}
    indexed("fixed-array-short", "H-3", fixed, lambda p: table(p, b"FAHD", 8, 7, 8, 24))
    indexed("fixed-array-giant", "H-24", fixed, lambda p: table(p, b"FAHD", 8, 1 << 50, 8, 24))
    indexed("fixed-array-far", "H-24", fixed, lambda p: table(p, b"FAHD", 16, 1 << 40, 8, 24))
    indexed("fixed-array-pages", "H-24", fixed, lambda p: table(p, b"FAHD", 7, 200, 1, 24))
    indexed("extensible-array-bits", "H-24", growing, lambda p: table(p, b"EAHD", 7, 255, 1, 68))
    indexed("extensible-array-pointers", "H-24", growing, lambda p: table(p, b"EAHD", 10, 0, 1, 68))
    indexed("extensible-array-far", "H-24", growing, lambda p: table(p, b"EAHD", 60, 1 << 40, 8, 68))
    indexed("extensible-array-damaged", "H-3", growing, lambda p: p.put(p.find(b"EADB") + 20, 1, 1))
    patched = base(old, libver="latest")
    patched.put(11, 5, 1)
    patched.sign(0, 44)
    reject("open-for-writing", "H-2", patched)

    # A link of a class that a program registers
    patched = base(lambda file: file.__setitem__("outside", h5py.ExternalLink("other.h5", "/x")), libver=("v108", "v108"))
    start = patched.find(b"OHDR")
    kind = patched.bytes.index(b"\x40", start)
    assert patched.bytes.index(b"outside", kind) - kind < 6
    patched.put(kind, 65, 1)
    flags = patched.number(start + 5, 1)
    size_bytes = 1 << (flags & 3)
    prefix = 6 + (16 if flags & 0x20 else 0) + (4 if flags & 0x10 else 0) + size_bytes
    patched.sign(start, start + prefix + patched.number(start + prefix - size_bytes, size_bytes))
    reject("user-link", "H-4", patched)

    # Types inside types, and lists of Keras that lead nowhere
    deep = numpy.dtype("f4")
    for _ in range(40):
        deep = numpy.dtype([("inner", deep)])
    reject("type-deep", "H-7", base(lambda file: file.create_dataset("x", (2,), deep)))
    reject("type-list", "H-7", base(lambda file: file.create_dataset("x", (2,), h5py.vlen_dtype("f4"))))
    reject("type-array", "H-7", base(lambda file: file.create_dataset("x", (2,), numpy.dtype(("f4", (3,))))))

    def keras(weights: list[str], layers: list[str] = ["dense"]):
        def write(file: h5py.File) -> None:
            file.attrs["layer_names"] = [name.encode() for name in layers]
            file.attrs["keras_version"] = "3.12.0"
            file["dense/dense/kernel:0"] = numpy.zeros((2, 2), "float32")
            file["dense"].attrs["weight_names"] = [name.encode() for name in weights]

        return write

    reject("keras-weight-missing", "H-26", base(keras(["dense/kernel:0", "dense/bias:0"])))
    reject("keras-weight-twice", "H-26", base(keras(["dense/kernel:0", "dense/kernel:0"])))
    reject("keras-weight-leaves", "H-26", base(keras(["../../etc/passwd"])))
    reject("keras-layer-missing", "H-26", base(keras(["dense/kernel:0"], ["dense", "other"])))
    reject("keras-layer-twice", "H-26", base(keras(["dense/kernel:0"], ["dense", "dense"])))

    def linked(file: h5py.File) -> None:
        keras(["dense/kernel:0"], ["dense", "outside"])(file)
        file["outside"] = h5py.ExternalLink("other.h5", "/dense")

    reject("keras-layer-external", "H-4", base(linked))
    scratch.unlink()


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
        file.create_dataset("x", (1 << 26,), "uint8", chunks=(1 << 26,))
    with reject("scale-offset", "H-10") as file:
        file.create_dataset("x", data=numpy.arange(64), scaleoffset=0)
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
    stream = zlib.compress(bytes(256))
    for name, stored in {
        "deflate-checksum": stream[:-1] + bytes([stream[-1] ^ 1]), "deflate-cut": stream[:-5], "deflate-twice": stream + stream,
        "deflate-tail": stream + b"tail", "deflate-nothing": b"x",
    }.items():
        with reject(name, "H-12") as file:
            x = file.create_dataset("x", (64,), "float32", chunks=(64,), compression="gzip")
            x.id.write_direct_chunk((0,), stored)
    with reject("fletcher32-short", "H-12") as file:
        x = file.create_dataset("x", (64,), "float32", chunks=(64,), fletcher32=True)
        x.id.write_direct_chunk((0,), b"123")
    with reject("zstd-bomb", "H-12") as file:
        x = file.create_dataset("x", (64,), "float32", chunks=(64,), **hdf5plugin.Zstd())
        # A frame of one block of a MiB of one byte.
        x.id.write_direct_chunk((0,), bytes.fromhex("28b52ffd") + bytes([0xA4]) + (1 << 20).to_bytes(4, "little") + ((1 << 17) << 3 | 2).to_bytes(3, "little") + b"a" + (((1 << 17) << 3 | 3).to_bytes(3, "little") + b"a"))
    with reject("lzf-far", "H-12") as file:
        x = file.create_dataset("x", (64,), "float32", chunks=(64,), compression="lzf")
        x.id.write_direct_chunk((0,), bytes([0x00, 0x61, 0x3F, 0xFF]))
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
    with reject("file-name-long", "H-17") as file:
        file.attrs["graft.version"] = 1
        file[".files/" + 256 * "n"] = numpy.zeros(1, "uint8")
    with reject("metadata-bomb", "H-27") as file:
        file.attrs["graft.version"] = 1
        file.create_dataset(".metadata", data=numpy.full(2_000_000, ord(" "), "uint8"), compression="gzip")
    with reject("byte-chunks", "H-8") as file:
        file.create_dataset("x", (1 << 14, 1 << 13), "uint8", chunks=(1 << 14, 1), compression="gzip")[0, 0] = 1
    with reject("metadata-not-text", "H-18") as file:
        file.attrs["graft.version"] = 1
        file[".metadata"] = numpy.frombuffer(b'{"a": 1}', "uint8")
    for name, ends in {"vocabulary-falls": [2, 1, 3], "vocabulary-past-bytes": [1, 2, 4]}.items():
        with reject(name, "H-19") as file:
            file.attrs["graft.version"] = 1
            file["vectors"] = numpy.zeros((3, 2), "float32")
            file[".vocabulary/bytes"] = numpy.frombuffer(b"abc", "uint8")
            file[".vocabulary/ends"] = numpy.array(ends, "uint64")

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
    structure(vectors)
    (FORMAT / "vectors.json").write_text(json.dumps(vectors, indent=1) + "\n")


if __name__ == "__main__":
    for folder in (GOLDEN, FORMAT / "accept", FORMAT / "reject"):
        folder.mkdir(parents=True, exist_ok=True)
    tree()
    latest()
    attributes()
    accepted()
    rejected()
