"""Files made by Keras 3 in each of its layouts: what Graft must read, and give back.

    golden/keras/model.weights.h5   `save_weights`
    golden/keras/model.keras        `save`: an archive with the configuration
    golden/keras/model.h5           `save` in the legacy layout: a whole model with its optimizer
    golden/keras/weights.h5         the legacy layout, weights only
    golden/keras/nested.keras       layers of every kind inside each other, some of them frozen
    golden/keras/nested.h5          the same model in the legacy layout
    golden/keras/tensors.json       for each file its tensors as Graft must see them: [{name, dtype, shape, bytes}], bytes in hexadecimal
"""

import json
import os
import pathlib
import zipfile

os.environ["KERAS_BACKEND"] = "torch"

import h5py
import keras
import numpy
from keras.src.legacy.saving import legacy_h5_format

GOLDEN = pathlib.Path(__file__).resolve().parent.parent / "golden" / "keras"
DTYPES = {"float32": "F32", "int32": "I32", "int64": "I64", "uint32": "U32", "void16": "BF16"}


def model() -> keras.Model:
    """Two inputs' worth of layers: a layer without weights, bf16, more than ten variables in one group."""
    keras.utils.set_random_seed(11)
    tokens = keras.Input((6,), dtype="int32", name="tokens")
    x = keras.layers.Embedding(19, 8, name="table")(tokens)
    x = keras.layers.MultiHeadAttention(2, 4, name="attention")(x, x)
    x = keras.layers.LayerNormalization(name="norm")(x)
    x = keras.layers.Dropout(0.1, name="drop")(x)
    x = keras.layers.GlobalAveragePooling1D(name="mean")(x)
    x = keras.layers.Dense(5, activation="gelu", name="first")(x)
    x = keras.layers.BatchNormalization(name="batch")(x)
    x = keras.layers.Dense(3, dtype="bfloat16", name="last")(x)
    built = keras.Model(tokens, x, name="tiny")
    built.compile(keras.optimizers.Adam(0.01), "mse")
    random = numpy.random.default_rng(3)
    built.fit(random.integers(0, 19, (4, 6)), random.standard_normal((4, 3)), verbose=0)
    return built


def nested() -> keras.Model:
    """Models inside models, wrappers, recurrent layers; variables that aren't trained before and between those that are."""
    keras.utils.set_random_seed(13)
    layers = keras.layers
    frozen = layers.Dense(3, name="frozen", trainable=False)
    inner = keras.Sequential(
        [keras.Input((6, 4)), layers.BatchNormalization(name="inner_batch"), layers.SeparableConv1D(3, 2, padding="same", name="conv"), layers.PReLU(name="slope")],
        name="inner",
    )
    entry = keras.Input((6, 4), name="entry")
    x = inner(entry)
    x = layers.TimeDistributed(layers.Dense(4, use_bias=False, name="each"), name="times")(x)
    x = layers.BatchNormalization(name="outer_batch", scale=False)(x)
    x = frozen(x)
    outer = keras.Model(entry, layers.Dense(4, name="after")(x), name="outer")
    series = keras.Input((6, 4), name="series")
    y = outer(series)
    y = layers.Bidirectional(layers.LSTM(2, return_sequences=True, name="memory"), name="both")(y)
    y = layers.GroupNormalization(2, center=False, name="groups")(y)
    y = layers.GRU(3, name="gates")(y)
    y = layers.TimeDistributed(layers.EinsumDense("bx,xy->by", 3, name="wrapped"), name="wrapper")(layers.RepeatVector(2, name="twice")(y))
    y = layers.RNN([layers.SimpleRNNCell(3, name="first_cell"), layers.LSTMCell(2, use_bias=False, name="second_cell")], name="stack")(y)
    built = keras.Model(series, layers.Dense(2, dtype="float16", name="last")(y), name="nest")
    built.compile(keras.optimizers.SGD(0.01, momentum=0.9), "mse", metrics=["mae"])
    random = numpy.random.default_rng(5)
    built.fit(random.standard_normal((4, 6, 4)), random.standard_normal((4, 2)), verbose=0)
    return built


def tensor(name: str, dataset: h5py.Dataset) -> dict:
    kind = dataset.dtype.name
    return {"name": name, "dtype": DTYPES[kind], "shape": list(dataset.shape), "bytes": dataset[()].tobytes().hex()}


def escaped(path: str) -> str:
    return ".".join(link.replace("%", "%25").replace(".", "%2E") for link in path.split("/"))


def in_order(file: h5py.File) -> list[dict]:
    """The variables of each layer by number, the layers by name."""
    paths = []
    file.visititems(lambda path, item: paths.append(path) if isinstance(item, h5py.Dataset) else None)
    paths.sort(key=lambda path: (path.split("/")[:-1], int(path.split("/")[-1])))
    return [tensor(escaped(path), file[path]) for path in paths]


def in_lists(file: h5py.File, base: str) -> list[dict]:
    """The weights as the lists of the legacy layout name them."""
    layers = [name if isinstance(name, str) else name.decode() for name in file[base or "/"].attrs["layer_names"]]
    groups = [f"{base}{name}" for name in layers + ["top_level_model_weights"]] + ["optimizer_weights"] * ("optimizer_weights" in file)
    return [
        tensor(escaped(f"{group}/{weight}"), file[f"{group}/{weight}"])
        for group in groups
        for weight in (name if isinstance(name, str) else name.decode() for name in file[group].attrs["weight_names"])
    ]


def main() -> None:
    GOLDEN.mkdir(parents=True, exist_ok=True)
    built = model()
    built.save_weights(GOLDEN / "model.weights.h5")
    built.save(GOLDEN / "model.keras")
    built.save(GOLDEN / "model.h5")
    nest = nested()
    nest.save(GOLDEN / "nested.keras")
    nest.save(GOLDEN / "nested.h5")
    with h5py.File(GOLDEN / "weights.h5", "w") as file:
        legacy_h5_format.save_weights_to_hdf5_group(file, built)
    tensors = {}
    with h5py.File(GOLDEN / "model.weights.h5") as file:
        tensors["model.weights.h5"] = in_order(file)
    with zipfile.ZipFile(GOLDEN / "model.keras") as archive, archive.open("model.weights.h5") as member, h5py.File(member) as file:
        tensors["model.keras"] = in_order(file)
    with h5py.File(GOLDEN / "model.h5") as file:
        tensors["model.h5"] = in_lists(file, "model_weights/")
    with h5py.File(GOLDEN / "weights.h5") as file:
        tensors["weights.h5"] = in_lists(file, "")
    (GOLDEN / "tensors.json").write_text(json.dumps(tensors) + "\n")


if __name__ == "__main__":
    main()
