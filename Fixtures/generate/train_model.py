"""Trains the small real model of `Fixtures/model`: a 1.6 M parameter Llama that has read the Old Testament.

The tokenizer (byte-level BPE, 2048 tokens) is learnt from the whole Bible, so that names of the New Testament are whole tokens; the
weights have seen the Old Testament only. That leaves something to learn for an embedding table and for an adapter.

Run it once, in the background (about half an hour on one core):

    python Fixtures/generate/train_model.py --steps 2000

The schedule is flat after its warm-up and falls linearly to zero over the last quarter. The state is saved in the scratch
directory every 100 steps: a run that was interrupted goes on from there, with the same or another number of steps.
"""

import argparse
import json
import pathlib
import tempfile
import time

import torch
import torch.nn.functional as F
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM

import scripture

FIXTURES = pathlib.Path(__file__).resolve().parent.parent
END_OF_TEXT = "<|endoftext|>"
BATCH, LENGTH = 16, 256
WARM_UP = 100


def train_tokenizer() -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=2048,
        special_tokens=[END_OF_TEXT],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(scripture.books("gen1:1-rev22:21"), trainer)
    return tokenizer


def token_stream(tokenizer: Tokenizer, span: str) -> torch.Tensor:
    """The span's books as one sequence of token ids, the end-of-text token before each book."""
    end = tokenizer.token_to_id(END_OF_TEXT)
    return torch.tensor([i for book in scripture.books(span) for i in [end, *tokenizer.encode(book).ids]])


def configuration() -> LlamaConfig:
    return LlamaConfig(
        vocab_size=2048,
        hidden_size=128,
        intermediate_size=352,
        num_hidden_layers=6,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=512,
        rms_norm_eps=1e-5,
        initializer_range=0.05,
        tie_word_embeddings=True,
        bos_token_id=0,
        eos_token_id=0,
        pad_token_id=None,
    )


def learning_rate(step: int, steps: int) -> float:
    """The factor on the peak learning rate at a step counted from zero."""
    return min(1.0, (step + 1) / WARM_UP, (steps - step) / (steps * 0.25))


def next_token_loss(model: LlamaForCausalLM, windows: torch.Tensor) -> torch.Tensor:
    """Mean cross-entropy of tokens 2..n of each window [windows, tokens], given those before them."""
    logits = model(input_ids=windows[:, :-1], use_cache=False).logits
    return F.cross_entropy(logits.flatten(0, 1).float(), windows[:, 1:].flatten())


@torch.no_grad()
def validation_loss(model: LlamaForCausalLM, stream: torch.Tensor, windows: int = 32) -> float:
    model.eval()
    rows = stream[: windows * LENGTH].view(windows, LENGTH)
    loss = sum(next_token_loss(model, part).item() * len(part) for part in rows.split(8)) / windows
    model.train()
    return loss


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--scratch", type=pathlib.Path, default=pathlib.Path(tempfile.gettempdir()) / "graft-model")
    parser.add_argument("--out", type=pathlib.Path, default=FIXTURES / "model")
    arguments = parser.parse_args()
    arguments.scratch.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    torch.manual_seed(1611)

    tokenizer = train_tokenizer()
    stream = token_stream(tokenizer, scripture.OLD_TESTAMENT)
    revelation = token_stream(tokenizer, scripture.REVELATION)
    model = LlamaForCausalLM(configuration())

    matrices = [p for name, p in model.named_parameters() if p.ndim == 2 and "embed" not in name]
    others = [p for name, p in model.named_parameters() if p.ndim != 2 or "embed" in name]
    optimizers = [
        torch.optim.Muon(matrices, lr=0.02, weight_decay=0.05, momentum=0.95),
        torch.optim.AdamW(others, lr=3e-3, betas=(0.9, 0.98), weight_decay=0.01),
    ]
    peaks = [0.02, 3e-3]

    state_path = arguments.scratch / "state.pt"
    first, log = 0, []
    if state_path.exists():
        state = torch.load(state_path)
        model.load_state_dict(state["model"])
        for optimizer, saved in zip(optimizers, state["optimizers"]):
            optimizer.load_state_dict(saved)
        first, log = state["step"], state["log"]

    print(f"{sum(p.numel() for p in model.parameters())} parameters, {len(stream)} training tokens", flush=True)
    started = time.monotonic()
    running = 0.0
    for step in range(first, arguments.steps):
        generator = torch.Generator().manual_seed(step)
        starts = torch.randint(0, len(stream) - LENGTH - 1, (BATCH,), generator=generator)
        windows = torch.stack([stream[s : s + LENGTH + 1] for s in starts.tolist()])
        with torch.autocast("cpu", torch.bfloat16):
            loss = next_token_loss(model, windows)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer, peak in zip(optimizers, peaks):
            for group in optimizer.param_groups:
                group["lr"] = peak * learning_rate(step, arguments.steps)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        running += loss.item()
        if (step + 1) % 100 == 0:
            line = f"step {step + 1:5d}  training loss {running / 100:.4f}  loss on Revelation {validation_loss(model, revelation):.4f}"
            print(f"{line}  {time.monotonic() - started:.0f} s", flush=True)
            log.append(line)
            running = 0.0
            saved = {"model": model.state_dict(), "optimizers": [o.state_dict() for o in optimizers], "step": step + 1, "log": log}
            torch.save(saved, state_path.with_suffix(".partial"))
            state_path.with_suffix(".partial").rename(state_path)

    arguments.out.mkdir(parents=True, exist_ok=True)
    model.generation_config = GenerationConfig(bos_token_id=0, eos_token_id=0)
    model.to(torch.bfloat16).save_pretrained(arguments.out)
    tokenizer.save(str(arguments.out / "tokenizer.json"))
    names = {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": END_OF_TEXT, "eos_token": END_OF_TEXT, "model_max_length": 512}
    (arguments.out / "tokenizer_config.json").write_text(json.dumps(names, indent=2) + "\n")
    (arguments.out / "training_log.txt").write_text("\n".join(log) + "\n")


if __name__ == "__main__":
    main()
