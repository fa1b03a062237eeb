"""Conversations beside transformers and PEFT: answers in the model's chat template, and losses of training on them."""

import functools
import json

from transformers import AutoTokenizer

from checks.training import initial_adapter
from verdict import all_equal, at_most
from workspace import TEXT, THREADS, graft, model, reference, scratch, training_log

QUESTIONS = [
    [("user", "What is the capital of France?")],
    [("system", "You are a poet. Answer in one line."), ("user", "What does the sea say to the shore?")],
    [("user", "  List three prime numbers.\nThen stop. \n")],
    # Longer than what Graft reads in one run.
    [("user", (TEXT / "gospels.txt").read_text()[:4000] + "\n\nWho is the father of David in this text?")],
    [("system", ""), ("user", "Was ist 7 × 8? Antworte kurz – «bitte».")],
]
MAXIMUM = 64
STEPS, BATCH, LENGTH, RATE = 6, 2, 256, 1e-3
IGNORED = -100


@functools.cache
def tokenizer():
    return AutoTokenizer.from_pretrained(model("f32"))


def spoken(messages) -> list[dict]:
    return [{"role": role, "content": content} for role, content in messages]


def answered(messages) -> tuple[list[int], list[int]]:
    """The tokens of Graft's prompt and of its answer."""
    system = [content for role, content in messages if role == "system"]
    options = ["--system", system[0]] if system else []
    run = graft("generate", model("f32"), "--chat", *options, "--prompt", messages[-1][1], "--max-tokens", MAXIMUM, "--compute", "f32", "--json", "--quiet")
    result = json.loads(run.output)
    return result["promptTokens"], result["tokens"]


# MARK: - Training


def conversations() -> list[list[tuple[str, str]]]:
    """Of one to three rounds, some with a system message, and none like another in length."""
    result = []
    for number in range(2 * STEPS):
        messages = [("system", f"You count to {number}.")] if number % 3 == 0 else []
        for turn in range(1 + number % 3):
            messages.append(("user", f"What comes after {number} and {turn}?" + " Please." * (number % 5)))
            messages.append(("assistant", f"After them comes {number + turn + 1}, " + "and so on, " * (turn + number % 4) + "as you know."))
        result.append(messages)
    return result


def example(messages) -> tuple[list[int], list[bool]]:
    """The tokens of a conversation, and which of them an assistant writes: an answer and the token that ends it."""
    peer = tokenizer()

    def encoded(count: int, continues: bool) -> list[int]:
        return peer.apply_chat_template(spoken(messages[:count]), add_generation_prompt=continues, return_dict=False)

    ids = encoded(len(messages), False)
    written = [False] * len(ids)
    for index, (role, _) in enumerate(messages):
        if role == "assistant":
            start, end = len(encoded(index, True)), len(encoded(index + 1, False))
            end = max(at for at in range(start, end) if ids[at] == peer.eos_token_id) + 1
            written[start:end] = [True] * (end - start)
    return ids, written


def windows(masks: bool, packs: bool) -> list[list[tuple[list[int], list[int]]]]:
    """The examples of each window as tokens and labels: one, or with packing as many as fit into the first window with room."""
    result = []
    for messages in conversations():
        ids, written = example(messages)
        assert len(ids) <= LENGTH
        # An example's first token is read only: nothing comes before it.
        labels = [token if at > 0 and (write or not masks) else IGNORED for at, (token, write) in enumerate(zip(ids, written))]
        room = (window for window in result if packs and sum(len(other) for other, _ in window) + len(ids) <= LENGTH)
        window = next(room, None)
        if window is None:
            result.append(window := [])
        window.append((ids, labels))
    assert not packs or any(len(window) > 2 for window in result), "nothing is packed"
    return result


def batches(masks: bool, packs: bool) -> dict:
    """What PyTorch reads of each step: [steps, batch, length] each."""
    rows = {"input_ids": [], "labels": [], "position_ids": [], "segments": []}
    for window in windows(masks, packs):
        row = {name: [] for name in rows}
        for number, (ids, labels) in enumerate(window):
            row["input_ids"] += ids
            row["labels"] += labels
            row["position_ids"] += range(len(ids))
            row["segments"] += [number] * len(ids)
        missing = LENGTH - len(row["input_ids"])
        row["input_ids"] += [0] * missing
        row["labels"] += [IGNORED] * missing
        row["position_ids"] += range(missing)
        row["segments"] += [len(window)] * missing
        for name, values in row.items():
            rows[name].append(values)
    count = len(rows["input_ids"])
    return {name: [[values[(step * BATCH + at) % count] for at in range(BATCH)] for step in range(STEPS)] for name, values in rows.items()}


def losses(masks: bool, packs: bool) -> tuple[list[float], list[float]]:
    """Graft's and PyTorch's of each step."""
    data = scratch() / "conversations.jsonl"
    data.write_text("".join(json.dumps({"messages": spoken(messages)}) + "\n" for messages in conversations()))
    label = f"chat{'-masked' * masks}{'-packed' * packs}"
    options = ["--mask-prompt"] * masks + ["--pack"] * packs
    graft(
        "train", model("f32"), "--data", data, "--format", "chat", *options, "--out", scratch() / label, "--from", initial_adapter(), "--steps", STEPS,
        "--batch-size", BATCH, "--sequence-length", LENGTH, "--learning-rate", RATE, "--no-shuffle", "--compute", "f32", "--threads", THREADS, "--quiet",
    )  # fmt: skip
    examples = scratch() / f"{label}.json"
    examples.write_text(json.dumps(batches(masks, packs)))
    run = reference(
        "train.py", model=model("f32"), adapter=initial_adapter(), examples=examples, dtype="f32", steps=STEPS, batch_size=BATCH,
        sequence_length=LENGTH, learning_rate=RATE, threads=THREADS, compiles=False,
    )  # fmt: skip
    return [record["loss"] for record in training_log(scratch() / label)], json.loads(run.output)["losses"]


def checks():
    prompts = [spoken(messages) for messages in QUESTIONS]
    run = reference("chat.py", model=model("f32"), conversations=prompts, tokens=MAXIMUM, threads=THREADS)
    different = [[], []]
    for messages, expected in zip(QUESTIONS, json.loads(run.output), strict=True):
        prompt, answer = answered(messages)
        different[0] += [messages] * (prompt != expected["prompt"])
        different[1] += [(messages[-1][1], answer, expected["answer"])] * (answer != expected["answer"])
    yield all_equal("tokens of prompts in the chat template beside transformers", different[0], len(QUESTIONS))
    yield all_equal(f"greedy answers of at most {MAXIMUM} tokens beside transformers", different[1], len(QUESTIONS))

    for masks, packs in [(False, False), (True, False), (False, True), (True, True)]:
        ours, theirs = losses(masks, packs)
        what = "conversations" + ", answers only" * masks + (", packed" if packs else ", each in a window")
        yield at_most(f"f32 losses over {STEPS} steps, {what}, largest difference from PyTorch", max(abs(a - b) for a, b in zip(ours, theirs, strict=True)), 1e-3)
