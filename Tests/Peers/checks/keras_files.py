"""Files of Keras 3 and of its legacy layouts, both ways: what Graft writes loads in Keras and predicts the same."""

import json
import os
import shutil
import subprocess
import sys

os.environ["KERAS_BACKEND"] = "torch"

import h5py
import keras
import numpy
from keras.src.legacy.saving import legacy_h5_format
from safetensors import safe_open
from safetensors.torch import save_file

from verdict import Verdict, all_equal, at_most
from workspace import GRAFT, PEERS, ROOT, generator, graft, scratch

REJECTED = ROOT / "Formats" / "hdf5" / "reject"


def values(tensor) -> numpy.ndarray:
    return keras.ops.convert_to_numpy(keras.ops.cast(tensor, "float32"))


def predictions(model: keras.Model) -> numpy.ndarray:
    return values(model(numpy.arange(30).reshape(5, 6) % 19))


def cleared() -> keras.Model:
    """The same architecture, all zeros."""
    model = generator("keras_files").model()
    for variable in model.variables:
        variable.assign(keras.ops.zeros_like(variable))
    return model


def load_legacy(path) -> keras.Model:
    model = cleared()
    with h5py.File(path) as file:
        legacy_h5_format.load_weights_from_hdf5_group(file, model)
    return model


def load_model(path) -> keras.Model:
    # Keras 3.12 can't read the loss that it writes itself into this layout.
    return keras.models.load_model(path, compile=False)


def load_weights(path) -> keras.Model:
    model = cleared()
    model.load_weights(path)
    return model


def checks():
    yield from both_ways()
    yield from hostile()


def both_ways():
    folder = scratch() / "keras"
    folder.mkdir()
    model = generator("keras_files").model()
    wanted = predictions(model)
    model.save_weights(folder / "a.weights.h5")
    model.save(folder / "a.h5")
    with h5py.File(folder / "legacy.h5", "w") as file:
        legacy_h5_format.save_weights_to_hdf5_group(file, model)
    loaders = {"a.weights.h5": load_weights, "a.h5": load_model, "legacy.h5": load_legacy}
    for name, load in loaders.items():
        directory, back = folder / f"{name}-directory", folder / f"back-{name}"
        graft("convert", folder / name, directory, "--quiet")
        graft("convert", directory, back, "--to", "keras", "--quiet")
        found = predictions(load(back))
        yield Verdict(f"{name} through safetensors and back, loaded in Keras", f"differs by {numpy.abs(found - wanted).max():.1e}", "the same predictions", numpy.array_equal(found, wanted))
        comparison = graft("diff", folder / name, back, "--json", "--quiet")
        yield Verdict(f"diff of {name} and what came back", "no difference", "status 0", bool(json.loads(comparison.output)))

    with safe_open(folder / "legacy.h5-directory" / "model.safetensors", "pt") as file:
        metadata, tensors = file.metadata(), {name: file.get_tensor(name) for name in file.keys()}
    variables = {f"{layer.name}.{variable.path.replace('/', '.')}": values(variable) for layer in model.layers for variable in layer.weights}
    different = [name for name, value in variables.items() if name not in tensors or not numpy.array_equal(tensors[name].float().numpy(), value)]
    yield all_equal("variables of the legacy layout beside Keras's memory", different, len(variables))

    # An edit made outside of Keras arrives, whatever order the tensors have in between.
    edited = {name: tensor + 1 for name, tensor in reversed(tensors.items())}
    save_file(edited, folder / "edited.safetensors", metadata=metadata)
    graft("convert", folder / "edited.safetensors", folder / "edited.h5", "--to", "keras", "--quiet")
    kernels = [values(load_legacy(folder / "edited.h5").get_layer("first").kernel), values(model.get_layer("first").kernel) + 1]
    yield Verdict("a kernel edited as safetensors, loaded in Keras", f"mean {kernels[0].mean():.3f}", "one more", numpy.array_equal(*kernels))


def hostile():
    """No file can hurt: each refused file ends in an error within a second and 128 MiB, whatever is asked."""
    output, report = scratch() / "out", scratch() / "report"
    seconds, peak, wrong, count = 0.0, 0, [], 0
    for path in sorted(REJECTED.glob("*.h5")):
        for verb in (["inspect", path], ["verify", path, "--quiet"], ["convert", path, output, "--quiet"]):
            done = subprocess.run([sys.executable, "-I", "-S", PEERS / "measured.py", report, GRAFT, *verb], capture_output=True, text=True)
            measured = json.loads(report.read_text())
            seconds, peak, count = max(seconds, measured["seconds"]), max(peak, measured["peak_bytes"]), count + 1
            if done.returncode not in (0, 1, 3) or output.exists() and done.returncode != 0:
                wrong.append(f"{path.name}: {verb[0]} ended with {done.returncode}")
            shutil.rmtree(output, ignore_errors=True)
    yield all_equal("refused files end in an error, with nothing written", wrong, count)
    yield at_most("time of a refused file", seconds, 1, " s")
    yield at_most("memory of a refused file", peak / 2**20, 128, " MiB")
