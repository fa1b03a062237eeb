"""Writes the vectors of Formats/keras: `.keras` archives, legal and hostile, each with a few hundred bytes of weights.

Run from the repository's root with h5py 3.16.0.
"""

import io
import json
import pathlib
import shutil
import zipfile

import h5py
import numpy

FORMAT = pathlib.Path(__file__).resolve().parents[2] / "Formats" / "keras"
FOUR = numpy.arange(4, dtype="<f4")
TENSOR = {"name": "layers.dense.vars.0", "dtype": "F32", "shape": [4], "bytes": FOUR.tobytes().hex()}
DAY = (1980, 1, 1, 0, 0, 0)


def hdf5(fill, **more) -> bytes:
    stream = io.BytesIO()
    with h5py.File(stream, "w", libver="latest", **more) as file:
        fill(file)
    return stream.getvalue()


def weights(path="layers/dense/vars/0") -> bytes:
    return hdf5(lambda file: file.create_dataset(path, data=FOUR))


def legacy(file):
    file.attrs["layer_names"] = [b"dense"]
    group = file.create_group("dense")
    group.attrs["weight_names"] = [b"kernel"]
    group["kernel"] = FOUR


def ours(file):
    file.attrs["graft.version"] = 1
    file["layers/dense/vars/0"] = FOUR
    file[".files/config.json"] = numpy.frombuffer(b"{}", "u1")


def external(file):
    file["layers/dense/vars/0"] = FOUR
    file["layers/other"] = h5py.ExternalLink("/etc/passwd", "/x")


CONFIGURATION = json.dumps({"module": "keras", "class_name": "Sequential", "config": {"name": "tiny", "layers": []}}).encode()
METADATA = b'{"keras_version": "3.12.0"}'
USUAL = {"metadata.json": METADATA, "config.json": CONFIGURATION, "model.weights.h5": weights()}


def model(*layers) -> bytes:
    """The description of a model of layers without biases, and of others."""
    described = [layer if isinstance(layer, dict) else {"class_name": "Dense", "config": {"name": layer, "units": 4, "use_bias": False}} for layer in layers]
    return json.dumps({"class_name": "Sequential", "config": {"name": "tiny", "layers": described}}).encode()


# What Keras 3 and 2 write for a function that stands in a layer: its bytecode.
CODE = "4wEAAAAAAAAAAAAAAAEAAAABAAAAQwAAAHMEAAAAfABTACkBTqkAKQHaAXhyAQAAAHIBAAAA"
LAMBDA = {"class_name": "Lambda", "config": {"name": "run", "function": {"class_name": "__lambda__", "config": {"code": CODE, "defaults": None, "closure": None}}}}
OLD_LAMBDA = {"class_name": "Lambda", "config": {"name": "run_2", "function": [CODE, None, None], "function_type": "lambda", "module": "os"}}


def many(*paths):
    def fill(file):
        for path in paths:
            file[path] = FOUR

    return hdf5(fill)


def archive(members, deflated=(), modes={}) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as file:
        for name, data in members:
            entry = zipfile.ZipInfo(name, DAY)
            entry.compress_type = zipfile.ZIP_DEFLATED if name in deflated else zipfile.ZIP_STORED
            entry.external_attr = modes.get(name, 0o100644) << 16
            file.writestr(entry, data)
    return stream.getvalue()


def usual(deflated=(), without=(), **changes) -> bytes:
    names = {"metadata": "metadata.json", "config": "config.json", "weights": "model.weights.h5"}
    members = USUAL | {names[key]: data for key, data in changes.items()}
    return archive([(name, data) for name, data in members.items() if name not in without], deflated)


def damaged(data: bytes, old: bytes, new: bytes) -> bytes:
    assert len(old) == len(new) and data.count(old) == 1
    return data.replace(old, new)


def vectors():
    accept = {
        "stored": (usual(), [TENSOR]),
        "deflated": (usual(deflated=list(USUAL)), [TENSOR]),
        "deflated-configuration": (usual(deflated=["config.json"]), [TENSOR]),
        "without-metadata": (usual(without=["metadata.json"]), [TENSOR]),
        "other-order": (archive(reversed(USUAL.items())), [TENSOR]),
        "assets": (archive([*USUAL.items(), ("assets/", b""), ("assets/layers/lookup/vocabulary.txt", b"a\nb\n")]), [TENSOR]),
        "named-variable": (usual(weights=weights("layers/own/vars/scale")), [TENSOR | {"name": "layers.own.vars.scale"}]),
        "lambda": (usual(config=model("dense", LAMBDA, OLD_LAMBDA)), [TENSOR]),
        "path-as-class": (usual(config=model("dense", {"class_name": "os.system", "module": "../../etc", "registered_name": "builtins>eval", "config": {"name": "run"}})), [TENSOR]),
        "layer-without-group": (usual(config=model("dense", "dense_1")), [TENSOR]),
        "group-without-layer": (usual(config=model("dense"), weights=many("layers/dense/vars/0", "layers/dense_1/vars/0")), [TENSOR, TENSOR | {"name": "layers.dense_1.vars.0"}]),
        "optimizer": (usual(config=model("dense"), weights=many("layers/dense/vars/0", "optimizer/vars/0", "optimizer/vars/10", "optimizer/vars/2")), [TENSOR, *(TENSOR | {"name": f"optimizer.vars.{number}"} for number in (0, 2, 10))]),
        "without-weights": (usual(weights=hdf5(lambda file: file.create_group("vars"))), []),
    }
    reject = {
        "member-unknown": ("keras K-1", archive([*USUAL.items(), ("model.safetensors", b"")])),
        "member-in-folder": ("keras K-1", archive([("tiny/" + name, data) for name, data in USUAL.items()])),
        "member-assets-file": ("keras K-1", archive([*USUAL.items(), ("assets", b"")])),
        "config-none": ("keras K-2", usual(without=["config.json"])),
        "config-array": ("keras K-2", usual(config=b"[" + CONFIGURATION + b"]")),
        "config-cut": ("keras K-2", usual(config=CONFIGURATION[:-1])),
        "config-empty": ("keras K-2", usual(config=b"")),
        "config-without-class": ("keras K-2", usual(config=b'{"config": {}}')),
        "config-without-config": ("keras K-2", usual(config=b'{"class_name": "Sequential"}')),
        "config-inside": ("keras K-2", usual(config=b'{"inside": {"class_name": "Sequential", "config": {}}}')),
        "config-latin": ("keras K-2", usual(config=CONFIGURATION.replace(b"tiny", b"t\xefny"))),
        "config-behind": ("keras K-2", usual(config=CONFIGURATION + b"{}")),
        "config-bomb": ("keras K-2", usual(config=CONFIGURATION + b" " * (16 << 20), deflated=["config.json"])),
        "config-pickle": ("keras K-2", usual(config=b"\x80\x04N.")),
        "metadata-array": ("keras K-3", usual(metadata=b"[]")),
        "metadata-python": ("keras K-3", usual(metadata=b"{'keras_version': '3.12.0'}")),
        "weights-none": ("keras K-4", usual(without=["model.weights.h5"])),
        "weights-npz": ("keras K-4", archive([*list(USUAL.items())[:2], ("model.weights.npz", archive([]))])),
        "weights-text": ("HDF5 H-1", usual(weights=b"weights")),
        "weights-cut": ("HDF5 H-2", usual(weights=weights()[:-1])),
        "weights-cut-deflated": ("HDF5 H-2", usual(weights=weights()[:-1], deflated=list(USUAL))),
        "weights-external-link": ("HDF5 H-4", usual(weights=hdf5(external))),
        "deflated-large": ("keras K-5", usual(weights=bytes((64 << 20) + 1), deflated=["model.weights.h5"])),
        "deflated-large-asset": ("keras K-5", archive([*USUAL.items(), ("assets/zeros", bytes((64 << 20) + 1))], ["assets/zeros"])),
        "weights-legacy": ("keras K-6", usual(weights=hdf5(legacy))),
        "weights-graft": ("keras K-6", usual(weights=hdf5(ours))),
        "weights-tree": ("keras K-6", usual(weights=weights("dense/kernel"))),
        "archive-cut": ("zip Z-1", usual()[:-1]),
        "archive-twice": ("zip Z-9", archive([*USUAL.items(), ("config.json", CONFIGURATION)])),
        "archive-name": ("zip Z-8", archive([*USUAL.items(), ("assets/../../x", b"")])),
        "asset-link": ("zip Z-10", archive([*USUAL.items(), ("assets/passwd", b"/etc/passwd")], modes={"assets/passwd": 0o120777})),
        "archive-checksum": ("zip Z-14", damaged(usual(), b'"tiny"', b'"tony"')),
    }
    for name, (data, tensors) in accept.items():
        yield "accept", name, data, {"tensors": tensors}
    for name, (rule, data) in reject.items():
        yield "reject", name, data, {"rule": rule}


def main() -> None:
    table = []
    for verdict in ("accept", "reject"):
        shutil.rmtree(FORMAT / verdict, ignore_errors=True)
        (FORMAT / verdict).mkdir(parents=True)
    for verdict, name, data, facts in vectors():
        path = FORMAT / verdict / f"{name}.keras"
        path.write_bytes(data)
        table.append({"file": f"{verdict}/{path.name}", "verdict": verdict} | facts)
    (FORMAT / "vectors.json").write_text("[\n" + ",\n".join("  " + json.dumps(row) for row in table) + "\n]\n")


if __name__ == "__main__":
    main()
