"""Training SmolLM2 beside PyTorch and PEFT: tokens per second, time to the first step, peak memory.

Other machines' work slows a shared machine down for seconds or minutes. So everything runs twice, in turn, and the fastest step counts, for
all alike.
"""

import dataclasses
import functools
import json
import pathlib

from workspace import THREADS, Measured, benchmarks, graft, king_james, model, reference, scratch, tokens, training_log

STEPS, PEER_STEPS, WARM_UP = 8, 8, 2
RATE = 1e-3
# A schedule of a whole run's length, of which only the first steps are made.
SCHEDULE_STEPS = 48


@dataclasses.dataclass(frozen=True)
class Workload:
    """What a step trains on, and which tensors."""

    batch: int = 4
    length: int = 512
    rank: int = 8
    targets: str = "q_proj,v_proj"
    full: bool = False

    @property
    def tokens(self) -> int:
        return self.batch * self.length

    @property
    def options(self) -> list:
        shape = ["--batch-size", self.batch, "--sequence-length", self.length]
        return [*shape, "--full"] if self.full else [*shape, "--rank", self.rank, "--alpha", 4 * self.rank, "--target-modules", self.targets]


@dataclasses.dataclass
class Speed:
    """How a training process went, and what it did before and in its first step."""

    tokens_per_second: float
    first_step_begins: float
    first_step_ends: float
    peak_bytes: int

    def __str__(self) -> str:
        return f"{self.tokens_per_second:.0f} | {self.first_step_begins:.1f} s | {self.first_step_ends:.1f} s | {self.peak_bytes / 2**20:.0f} MiB"


HEADER = ["| | tokens/s | first step begins after | first step ends after | peak memory |", "|---|---:|---:|---:|---:|"]


def speed(run: Measured, work: Workload, steps: list[float]) -> Speed:
    """The fastest of the steps after the first ones; the time to the first step is what the steps leave over."""
    return Speed(work.tokens / min(steps[WARM_UP:]), run.seconds - sum(steps), run.seconds - sum(steps[1:]), run.peak_bytes)


def best(one: Speed, other: Speed | None) -> Speed:
    """The faster of two runs, with the larger of their peaks."""
    if other is None:
        return one
    faster = max(one, other, key=lambda speed: speed.tokens_per_second)
    return dataclasses.replace(faster, peak_bytes=max(one.peak_bytes, other.peak_bytes))


def graft_speed(work: Workload, compute: str, *options, directory: pathlib.Path | None = None, output: pathlib.Path | None = None, steps: int = STEPS) -> Speed:
    output = output or scratch() / f"speed-{len(list(scratch().iterdir()))}"
    run = graft(
        "train", directory or model(compute), "--data", king_james()[0], "--out", output, *work.options, "--steps", steps,
        "--learning-rate", RATE, "--compute", compute, "--threads", THREADS, "--quiet", *options,
    )  # fmt: skip
    return speed(run, work, [work.tokens / record["tokensPerSecond"] for record in training_log(output)])


def peer_speed(work: Workload, dtype: str, compiles: bool = False, checkpointing: bool = False, steps: int = PEER_STEPS) -> Speed:
    ids = scratch() / f"speed-ids-{work.tokens}-{steps}.json"
    if not ids.exists():
        ids.write_text(json.dumps(tokens(king_james()[0])[: work.tokens * steps]))
    run = reference(
        "train.py", model=model(dtype), ids=ids, dtype=dtype, steps=steps, batch_size=work.batch, sequence_length=work.length,
        rank=work.rank, targets=work.targets, full=work.full, learning_rate=RATE, schedule_steps=SCHEDULE_STEPS, threads=THREADS,
        compiles=compiles, checkpointing=checkpointing,
    )  # fmt: skip
    return speed(run, work, json.loads(run.output)["seconds"])


@functools.cache
def adapter() -> pathlib.Path:
    """The adapter of the first row, for those who need a trained one."""
    output = scratch() / "speed-adapter"
    graft_speed(Workload(), "bf16", output=output)
    return output


def lines():
    work = Workload()
    quick = {
        "Graft, bf16": lambda: graft_speed(work, "bf16"),
        "PyTorch + PEFT, bf16, eager": lambda: peer_speed(work, "bf16"),
        "Graft, bf16, op by op (`--no-fusion`)": lambda: graft_speed(work, "bf16", "--no-fusion"),
        "Graft, bf16, `--recompute auto`": lambda: graft_speed(work, "bf16", "--recompute", "auto"),
        "Graft, f32": lambda: graft_speed(work, "f32"),
        "PyTorch + PEFT, f32, eager": lambda: peer_speed(work, "f32"),
    }
    compiled = {
        "PyTorch + PEFT, bf16, torch.compile": lambda: peer_speed(work, "bf16", compiles=True),
        "PyTorch + PEFT, bf16, torch.compile, gradient checkpointing": lambda: peer_speed(work, "bf16", compiles=True, checkpointing=True),
        "PyTorch + PEFT, f32, torch.compile": lambda: peer_speed(work, "f32", compiles=True),
    }
    rows: dict[str, Speed] = {}
    product_seconds = []
    for measured in (quick, compiled, quick, compiled):
        product_seconds.append(json.loads(benchmarks("products", model("bf16"), work.batch, work.length).output)["seconds"])
        for name, measure in measured.items():
            rows[name] = best(measure(), rows.get(name))
    yield f"### Training: r = {work.rank} on q_proj and v_proj, {work.batch} × {work.length} tokens a step"
    yield ""
    yield from HEADER
    for name in sorted(rows):
        yield f"| {name} | {rows[name]} |"
    yield ""
    yield from summary(work, rows, min(product_seconds))


def summary(work: Workload, rows: dict[str, Speed], product_seconds: float):
    """The ratios that the project holds itself to."""

    def faster(ours: str, theirs: str) -> float:
        return rows[f"Graft, {ours}"].tokens_per_second / rows[theirs].tokens_per_second

    def smaller(ours: str, theirs: str) -> float:
        return rows[f"Graft, {ours}"].peak_bytes / rows[theirs].peak_bytes

    fast, checkpointed = (f"PyTorch + PEFT, bf16, torch.compile{rest}" for rest in ("", ", gradient checkpointing"))
    yield "| ratio | measured | goal |"
    yield "|---|---:|---:|"
    yield f"| bf16 speed to torch.compile | {faster('bf16', fast):.2f} | ≥ 1.6 |"
    yield f"| bf16 speed to eager | {faster('bf16', 'PyTorch + PEFT, bf16, eager'):.2f} | ≥ 2 |"
    yield f"| f32 speed to torch.compile | {faster('f32', 'PyTorch + PEFT, f32, torch.compile'):.2f} | ≥ 1.5 |"
    share = product_seconds * rows["Graft, bf16"].tokens_per_second / work.tokens
    yield f"| the step's matrix products alone ({product_seconds:.2f} s) to the bf16 step | {share:.2f} | ≥ 0.7 |"
    yield f"| fused to `--no-fusion` | {faster('bf16', 'Graft, bf16, op by op (`--no-fusion`)'):.2f} | ≥ 1.25 |"
    yield f"| peak memory to torch.compile's | {smaller('bf16', fast):.2f} | ≤ 0.4 |"
    yield f"| peak memory of `--recompute auto` to torch.compile's with gradient checkpointing | {smaller('bf16, `--recompute auto`', checkpointed):.2f} | ≤ 0.27 |"
    yield f"| speed of `--recompute auto` to that of no recompute | {faster('bf16, `--recompute auto`', 'Graft, bf16'):.2f} | ≥ 0.77 |"
