"""Gradient checkpointing as a plan: budgets over the whole range, the memory that was forecast and measured, the time that it costs."""

import json
import re
import subprocess
import time

from measurements.workloads import billion
from workspace import GRAFT, MODELS, THREADS, graft, king_james, model, scratch, training_log

BUDGETS, STEPS = 20, 3
SHAPE = ["--batch-size", 4, "--sequence-length", 512]


def request(verb: list, directory, *options) -> list:
    text, _ = king_james()
    return [*verb, directory, "--data", text, "--out", scratch() / ("adapter" if verb == ["train"] else "planned"), "--steps", STEPS, "--threads", THREADS, *SHAPE, *options]


def forecast(directory, *options) -> dict:
    return json.loads(graft(*request(["plan", "train"], directory, *options), "--json").output)


def trained(directory, *options) -> tuple[int, float, list[float], bytes]:
    """The peak of RssAnon, the seconds of the fastest step after the first, the losses and the adapter."""
    subprocess.run(["rm", "-rf", scratch() / "adapter"], check=True)
    command = [GRAFT, *map(str, request(["train"], directory, *options)), "--quiet"]
    process = subprocess.Popen(list(map(str, command)), stdout=subprocess.DEVNULL)
    peak = 0
    while process.poll() is None:
        try:
            with open(f"/proc/{process.pid}/status") as status:
                found = re.search(r"RssAnon:\s+(\d+)", status.read())
        except OSError:
            break
        if found:
            peak = max(peak, int(found[1]) * 1024)
        time.sleep(0.01)
    assert process.wait() == 0, command
    log = training_log(scratch() / "adapter")
    seconds = min(4 * 512 / line["tokensPerSecond"] for line in log[1:])
    weights = scratch() / "adapter" / "adapter_model.safetensors"
    return peak, seconds, [line["loss"] for line in log], weights.read_bytes() if weights.exists() else b""


def tenth(directory, *options) -> str:
    """How much longer a step takes when intermediate values have a tenth of the room that they take without recompute, or the least there is."""
    plan = forecast(directory, *options)
    arena = plan["arena"]["byteCount"]
    smaller = ["--recompute", "auto"]
    less = forecast(directory, *options, *smaller)
    # Beside its arena a run with little holds more than one that runs nothing again.
    least = less["memory"]["peakBytes"]
    budget = least - less["arena"]["byteCount"] + arena // 10
    while budget > 1.005 * least:
        plan = forecast(directory, *options, "--memory", budget)
        if plan["arena"]["byteCount"] * 10 <= arena:
            less, smaller = plan, ["--memory", budget]
            break
        budget -= 1 << 20
    _, seconds, losses, _ = trained(directory, *options)
    _, longer, same, _ = trained(directory, *options, *smaller)
    assert losses == same, "another plan, other losses"
    ratio = arena / less["arena"]["byteCount"]
    return f"{arena / 1e6:.0f} | {less['arena']['byteCount'] / 1e6:.0f} | {ratio:.1f} × | {seconds:.2f} | {longer:.2f} | {longer / seconds - 1:+.0%}"


def large_model() -> str:
    """A Llama of 32 blocks and 1.2 billion parameters, whose weights are a hole in a file."""
    directory = MODELS / "hole-1b"
    directory.mkdir(parents=True, exist_ok=True)
    small = model("bf16")
    config = json.loads((small / "config.json").read_text())
    config |= {
        "hidden_size": 1536, "intermediate_size": 6144, "num_hidden_layers": 32, "num_attention_heads": 24, "num_key_value_heads": 8, "head_dim": 64,
    }
    (directory / "config.json").write_text(json.dumps(config))
    (directory / "tokenizer.json").write_bytes((small / "tokenizer.json").read_bytes())
    hidden, inner, kv = 1536, 6144, 512
    shapes = {"model.embed_tokens.weight": [config["vocab_size"], hidden], "model.norm.weight": [hidden]}
    for layer in range(32):
        path = f"model.layers.{layer}"
        shapes |= {f"{path}.{name}.weight": [hidden] for name in ("input_layernorm", "post_attention_layernorm")}
        shapes |= {f"{path}.self_attn.{name}_proj.weight": [width, hidden] for name, width in (("q", hidden), ("k", kv), ("v", kv), ("o", hidden))}
        shapes |= {f"{path}.mlp.{name}_proj.weight": [inner, hidden] for name in ("gate", "up")}
        shapes[f"{path}.mlp.down_proj.weight"] = [hidden, inner]
    header, end = {}, 0
    for name, shape in shapes.items():
        size = 2 * shape[0] * (shape[1] if len(shape) > 1 else 1)
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [end, end + size]}
        end += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(directory / "model.safetensors", "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        file.truncate(8 + len(text) + end)
    return directory


def planning() -> str:
    shape = (large_model(), "--batch-size", 1)
    least, most = (forecast(*shape, "--recompute", policy)["memory"]["peakBytes"] for policy in ("auto", "none"))
    budgets = [int(1.005 * least) + (most - least) * third // 3 for third in range(3)]
    plans = [forecast(*shape, "--memory", budget)["planningSeconds"] for budget in budgets]
    seconds = ", ".join(f"{1000 * seconds:.0f}" for seconds in plans)
    return f"Planning 32 blocks (1.2 billion parameters, 1 × 512 tokens) took {seconds} ms (goal: 100 ms)."


def lines():
    directory = model("bf16")
    least, most = (forecast(directory, "--recompute", policy) for policy in ("auto", "none"))
    low, high = (plan["memory"]["peakBytes"] for plan in (least, most))
    everything = trained(directory)
    yield f"### Recompute: SmolLM2, LoRA rank 8 on q and v, 4 × 512 tokens, {BUDGETS} budgets from the least possible to no recompute"
    yield ""
    yield "| budget MB | forecast MB | measured MB | arena MB | s a step | time to no recompute |"
    yield "|---:|---:|---:|---:|---:|---:|"
    kept, worst = 0, 0.0
    for index in range(BUDGETS):
        # What the process holds itself differs by some pages from run to run.
        budget = int(1.005 * low + (high - low) * index / (BUDGETS - 1)) + 1_000_000
        plan = forecast(directory, "--memory", budget)
        peak, seconds, losses, adapter = trained(directory, "--memory", budget)
        assert (losses, adapter) == everything[2:], "another plan, other numbers"
        kept += peak <= budget
        worst = max(worst, abs(plan["memory"]["peakBytes"] / peak - 1))
        yield (
            f"| {budget / 1e6:.0f} | {plan['memory']['peakBytes'] / 1e6:.1f} | {peak / 1e6:.1f} | {plan['arena']['byteCount'] / 1e6:.1f} "
            f"| {seconds:.2f} | {seconds / everything[1]:.2f} |"
        )
    yield ""
    yield f"Budgets kept to: {kept} of {BUDGETS}. The forecast is off by at most {100 * worst:.1f} % (goal: 2 %). Losses and adapters have the same bytes for all budgets."
    yield ""
    yield "A tenth of the room for intermediate values (goals: at most 30 % more time with LoRA, 22 % in full fine-tuning):"
    yield ""
    yield "| | arena MB | a tenth, MB | less | s a step | with a tenth | more time |"
    yield "|---|---:|---:|---:|---:|---:|---:|"
    yield f"| SmolLM2, LoRA, 4 × 512 | {tenth(directory)} |"
    yield f"| SmolLM2, full fine-tuning, 4 × 512 | {tenth(directory, '--full')} |"
    yield f"| 1B-parameter Llama shape, LoRA, 1 × 2048 | {tenth(billion(), '--batch-size', 1, '--sequence-length', 2048)} |"
    yield ""
    yield planning()
