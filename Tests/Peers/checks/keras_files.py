"""Files of Keras 3 and of its legacy layouts, both ways: what Graft writes loads in Keras and predicts the same."""

import json
import os
import shutil
import subprocess
import sys
import zipfile

os.environ["KERAS_BACKEND"] = "torch"

import h5py
import hdf5plugin  # registers filter 32015
import keras
import numpy
import torch
from keras.src.legacy.saving import legacy_h5_format
from safetensors import safe_open
from safetensors.torch import save_file

from verdict import Verdict, all_equal, at_most
from workspace import GRAFT, PEERS, ROOT, generator, graft, scratch

REJECTED = sorted((ROOT / "Formats" / "hdf5" / "reject").glob("*.h5")) + sorted((ROOT / "Formats" / "keras" / "reject").glob("*.keras"))


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
    yield from attributes()
    yield from archives()
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


def attributes():
    """Attributes that others put into files of Keras stay, and Keras's own stand there once: the copies load as before."""
    folder = scratch() / "attributes"
    folder.mkdir()
    model = generator("keras_files").model()
    wanted = predictions(model)
    model.save_weights(folder / "a.weights.h5")
    model.save(folder / "a.h5")
    for name, load in {"a.weights.h5": load_weights, "a.h5": load_model}.items():
        found = {}

        def mark(path: str, item: h5py.HLObject) -> None:
            item.attrs["remark"], item.attrs["numbers"] = f"of {path}", numpy.arange(3, dtype=">i2")

        # Keras has written its lists as texts of a fixed length and of any, and reads both.
        def read(path: str, item: h5py.HLObject) -> None:
            texts = {key: numpy.asarray(value) for key, value in item.attrs.items()}
            found[path] = {key: (value.astype(str) if value.dtype.kind in "SO" else value).tolist() for key, value in texts.items()}

        with h5py.File(folder / name, "a") as file:
            file.visititems(mark)
            file.visititems(read)
        before, found = found, {}
        graft("convert", folder / name, folder / f"copy-{name}", "--to", "keras", "--quiet")
        with h5py.File(folder / f"copy-{name}") as file:
            file.visititems(read)
        different = [path for path in before if before[path] != found.get(path)]
        yield all_equal(f"attributes in a copy of {name}", different, len(before))
        same = numpy.array_equal(predictions(load(folder / f"copy-{name}")), wanted)
        yield Verdict(f"a copy of {name} with attributes of others, loaded in Keras", "the same" if same else "another model", "the same predictions", same)


def models() -> dict:
    """Models of every kind that Keras saves, with an input for each, trained for a step so that no weight is a round number."""
    keras.utils.set_random_seed(17)
    layers, random = keras.layers, numpy.random.default_rng(19)
    tokens = random.integers(0, 19, (5, 6))
    series = random.standard_normal((5, 6, 4)).astype("float32")
    sequential = keras.Sequential([keras.Input((6, 4)), layers.Conv1D(4, 2), layers.BatchNormalization(), layers.Flatten(), layers.Dense(3), layers.Dense(3)])
    entry = keras.Input((6, 4))
    joined = layers.concatenate([layers.Dense(3)(entry), layers.LayerNormalization()(layers.Dense(5, use_bias=False)(entry))])
    functional = keras.Model(entry, layers.GlobalMaxPooling1D()(layers.Bidirectional(layers.GRU(3, return_sequences=True))(joined)))
    mixed = keras.Sequential([keras.Input((6,)), layers.Embedding(19, 8, dtype="bfloat16"), layers.Dense(4, dtype="float16"), layers.Dense(4, dtype="mixed_float16"), layers.Flatten(), layers.Dense(3)])
    examples = {
        "transformer": (generator("keras_files").model(), tokens),
        "nested": (generator("keras_files").nested(), series),
        "sequential": (sequential, series),
        "functional": (functional, series),
        "mixed": (mixed, tokens),
    }
    for model, inputs in examples.values():
        if not model.compiled:
            model.compile(keras.optimizers.AdamW(0.01), keras.losses.MeanSquaredError(), metrics=[keras.metrics.MeanAbsoluteError()])
            model.fit(inputs, numpy.zeros(model(inputs).shape), verbose=0)
    return examples


def outputs(model: keras.Model, inputs) -> numpy.ndarray:
    return values(model(inputs))


def same_state(first: keras.Model, second: keras.Model) -> bool:
    """Whether every weight is the same, and the optimizer's state."""
    pairs = list(zip(first.weights + first.optimizer.variables, second.weights + second.optimizer.variables, strict=True))
    return all(numpy.array_equal(values(left), values(right)) for left, right in pairs)


def archives():
    """Archives of Keras 3: what Graft writes is the model that Keras saved, weights, outputs, optimizer and all."""
    folder = scratch() / "archives"
    folder.mkdir()
    for name, (model, inputs) in models().items():
        wanted = outputs(model, inputs)
        source = folder / f"{name}.keras"
        model.save(source)
        graft("convert", source, folder / name, "--quiet")
        routes = {"a copy": [source], "safetensors": [folder / name], "zstd": [source, "--compress", "zstd"]}
        for route, arguments in routes.items():
            back = folder / "back.keras"
            graft("convert", arguments[0], back, *arguments[1:], "--overwrite", "--quiet")
            loaded = keras.saving.load_model(back)
            passed = numpy.array_equal(outputs(loaded, inputs), wanted) and same_state(loaded, model)
            yield Verdict(f"{name}.keras through {route}, loaded in Keras", "the same" if passed else "another model", "the same outputs, weights and optimizer", passed)
        verification = json.loads(graft("verify", source, "--json", "--quiet").output)
        yield Verdict(f"verify {name}.keras", f"{len(verification['defects'])} defects, {len(verification['unexpected'])} unexpected", "none", verification["sound"] and not verification["unexpected"])

        # What h5py finds in the archive, beside what came out as safetensors.
        with zipfile.ZipFile(source) as archive, archive.open("model.weights.h5") as member, h5py.File(member) as file, safe_open(folder / name / "model.safetensors", "pt") as tensors:
            datasets = {}
            file.visititems(lambda path, item: datasets.update({path.replace("/", "."): item[()]}) if isinstance(item, h5py.Dataset) else None)
            found = {key: tensors.get_tensor(key) for key in tensors.keys()}
            different = [key for key, value in datasets.items() if key not in found or found[key].contiguous().flatten().view(torch.uint8).numpy().tobytes() != value.tobytes()]
        yield all_equal(f"tensors of {name}.keras beside h5py's", different + sorted(set(found) - set(datasets)), len(datasets))

        # The legacy layout and back: Keras loads both, whatever names the weights have there.
        legacy, again, bare = folder / f"{name}.h5", folder / f"{name}-again.keras", folder / f"{name}.weights.h5"
        graft("convert", source, legacy, "--to", "keras", "--quiet")
        loaded = keras.models.load_model(legacy, compile=False)
        passed = numpy.array_equal(outputs(loaded, inputs), wanted)
        yield Verdict(f"{name}.keras as a legacy file, loaded in Keras", "the same" if passed else "another model", "the same outputs", passed)
        own = folder / f"{name}-own.h5"
        model.save(own)
        graft("convert", own, again, "--allow-loss", "--quiet")
        loaded = keras.saving.load_model(again, compile=False)
        if isinstance(model.loss, str):
            passed = same_state(keras.saving.load_model(again), model)
            yield Verdict(f"Keras's legacy file of {name} as an archive, compiled", "the same" if passed else "another state", "the same weights and optimizer", passed)
        graft("convert", own, bare, "--allow-loss", "--quiet")
        for variable in model.variables:
            variable.assign(keras.ops.zeros_like(variable))
        model.load_weights(bare)
        passed = numpy.array_equal(outputs(loaded, inputs), wanted) and numpy.array_equal(outputs(model, inputs), wanted)
        yield Verdict(f"Keras's legacy file of {name} as an archive and as weights, loaded in Keras", "the same" if passed else "another model", "the same outputs", passed)


def hostile():
    """No file can hurt: each refused file ends in an error within a second and 128 MiB, whatever is asked."""
    output, report = scratch() / "out", scratch() / "report"
    seconds, peak, wrong, count = 0.0, 0, [], 0
    for path in REJECTED:
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
