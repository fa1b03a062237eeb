"""PyTorch's files and NumPy's arrays: both ways, with torch and numpy on the other side."""

import json

import numpy
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM
from verdict import Verdict, all_equal, at_most
from workspace import CommandFailed, generator, graft, model, scratch


def same(one, other):
    """Whether two tensors are one bit for bit."""
    if one.dtype != other.dtype or one.shape != other.shape:
        return False
    return torch.equal(one.contiguous().reshape(-1).view(torch.uint8), other.contiguous().reshape(-1).view(torch.uint8))


def different(found, expected):
    """The names that one side lacks, or whose tensors differ."""
    names = sorted(found.keys() | expected.keys())
    return [name for name in names if name not in found or name not in expected or not same(found[name], expected[name])]


def converted(source, suffix, *options):
    target = scratch() / f"{source.stem}-converted{suffix}"
    return target, graft("convert", source, target, "--quiet", "--overwrite", "--allow-loss", *options)


def random_views(count):
    """Tensors of every kind of stride over shared storages, as `torch.save` keeps them."""
    random = torch.Generator().manual_seed(3)

    def below(bound):
        return int(torch.randint(bound, (), generator=random))

    state, bases = {}, [torch.randn(5, 6, 7, 8, generator=random).to(kind) for kind in (torch.float32, torch.bfloat16, torch.float64, torch.int8)]
    for index in range(count):
        view = bases[below(len(bases))]
        for _ in range(below(5)):
            step = below(5)
            if step == 0:
                view = view.permute(*torch.randperm(view.dim(), generator=random).tolist())
            elif step == 1 and view.dim():
                axis = below(view.dim())
                view = view.narrow(axis, 0, below(view.shape[axis]) + 1)
            elif step == 2 and view.dim():
                axis = below(view.dim())
                view = view[(slice(None),) * axis + (slice(None, None, below(3) + 1),)]
            elif step == 3 and view.dim() > 1:
                view = view.select(below(view.dim()), 0)
            elif view.dim() < 5:
                view = view.unsqueeze(0).expand(below(3) + 1, *view.shape)
        state[f"view.{index}"] = view
    return state


def checks():
    archives = generator("archives")
    plain = archives.flattened(archives.golden_state())
    for label, options in {"archive": {}, "protocol 4": {"pickle_protocol": 4}, "stack": {"_use_new_zipfile_serialization": False}}.items():
        file = scratch() / f"golden-{label.replace(' ', '-')}.pt"
        torch.save(archives.golden_state(), file, **options)
        target, _ = converted(file, ".safetensors")
        found = load_file(target)
        found["tied"] = found["linear.weight"]
        yield all_equal(f"torch's {label} as safetensors", different(found, plain), len(plain))
    views = random_views(400)
    for label, options in {"archive": {}, "stack": {"_use_new_zipfile_serialization": False}}.items():
        file = scratch() / f"views-{label}.pt"
        torch.save(views, file, **options)
        target, _ = converted(file, ".pt")
        found = torch.load(target, weights_only=True)
        yield all_equal(f"strided views of torch's {label}, written for torch again", different(found, views), len(views))
    newer = archives.newer_types()
    torch.save(newer, scratch() / "newer.pt")
    target, _ = converted(scratch() / "newer.pt", ".pt")
    yield all_equal("f8 and unsigned types for torch", different(torch.load(target, weights_only=True), newer), len(newer))

    # A whole model: to PyTorch's form, which transformers loads, and back.
    weights = load_file(model("bf16") / "model.safetensors")
    directory, done = converted(model("bf16"), "", "--to", "torch")
    loaded = torch.load(directory / "pytorch_model.bin", weights_only=True, mmap=True)
    yield all_equal("a model for torch, mapped", different(loaded, weights), len(weights))
    yield at_most("memory of that", done.peak_bytes / 2**20, 128, " MiB")
    back, done = converted(directory, "-back")
    yield all_equal("and back", different(load_file(back / "model.safetensors"), weights), len(weights))
    yield at_most("memory of that", done.peak_bytes / 2**20, 128, " MiB")
    shards, done = converted(model("bf16"), "-shards", "--to", "torch", "--max-shard-size", "100MB")
    index = json.loads((shards / "pytorch_model.bin.index.json").read_text())
    loaded = {name: torch.load(shards / file, weights_only=True)[name] for name, file in index["weight_map"].items()}
    yield all_equal("in shards for torch", different(loaded, weights), len(weights))
    yield at_most("memory of that", done.peak_bytes / 2**20, 128, " MiB")
    yield all_equal("in shards for transformers", different(AutoModelForCausalLM.from_pretrained(shards, dtype=torch.bfloat16).state_dict(), AutoModelForCausalLM.from_pretrained(model("bf16"), dtype=torch.bfloat16).state_dict()), len(weights))
    comparison = json.loads(graft("diff", model("bf16"), directory, "--json", "--quiet").output)
    yield Verdict("diff of both forms", "no difference", "status 0", bool(comparison))
    tied = {"a.weight": torch.randn(9, 4), "c": torch.ones(2)}
    tied["b.weight"] = tied["a.weight"]
    torch.save(tied, scratch() / "tied.pt")
    one, _ = converted(scratch() / "tied.pt", ".safetensors")
    again, _ = converted(one, ".bin")
    found = torch.load(again, weights_only=True)
    shares = found["a.weight"].data_ptr() == found["b.weight"].data_ptr()
    yield all_equal("a tie through safetensors", different(found, tied) + ([] if shares else ["not one storage"]), len(tied))

    # NumPy, both ways.
    arrays = archives.golden_arrays()
    for label, save in {"savez": numpy.savez, "savez_compressed": numpy.savez_compressed}.items():
        file = scratch() / f"{label}.npz"
        save(file, **arrays)
        target, _ = converted(file, ".npz")
        found = numpy.load(target)
        wrong = [name for name in arrays if name not in found.files or not numpy.array_equal(found[name], arrays[name]) or found[name].dtype != numpy.asarray(arrays[name]).dtype.newbyteorder("<")]
        yield all_equal(f"numpy.{label} for numpy again", wrong, len(arrays))
    large = numpy.asfortranarray(numpy.random.default_rng(2).standard_normal((3000, 2500)).astype("f4"))
    numpy.savez_compressed(scratch() / "large.npz", large=large)
    target, done = converted(scratch() / "large.npz", ".npz")
    yield all_equal("a deflated array in Fortran's order, of several bands", [] if numpy.array_equal(numpy.load(target)["large"], large) else ["large"], 1)
    yield at_most("memory of that", done.peak_bytes / 2**20, 128, " MiB")

    # What must not be opened.
    class Command:
        def __reduce__(self):
            return (print, ("this would have run",))

    torch.save({"w": torch.ones(2), "x": Command()}, scratch() / "hostile.pt")
    try:
        graft("inspect", scratch() / "hostile.pt")
        yield Verdict("a pickle that calls print", "opened", "refused", False)
    except CommandFailed as error:
        yield Verdict("a pickle that calls print", "refused by name", "refused", "outside the list" in str(error) and "print" in str(error))
