"""Word vectors for the small real model of `Fixtures/model`: a table pretrained on the New Testament, Revelation left out.

The base has read the Old Testament only. Here all its weights are frozen but the embedding rows of some words (input and output
alike: they are tied), and those rows learn from the New Testament. Their length is held at the mean row length of the base's table
throughout, because that is the length an importer gives them: what is trained is what arrives. No other program made these vectors;
they fit this base, as vectors taken from a model's own relatives would, and say nothing about how foreign vectors do.

A word is exported if it occurs at least `LEAST_COUNT` times and each of its tokens, whatever their case, starts a word: then every
way of matching words to tokens finds the same rows.

    vectors/newtestament.bin          word2vec binary, all words
    vectors/newtestament-50.w2v.txt   word2vec text, the first 50 of them, 9 significant digits
    vectors/newtestament-50.glove.txt the same as GloVe text (no header line)
"""

import argparse
import math
import pathlib
from collections import Counter, defaultdict

import numpy
import torch
import torch.nn.functional as F
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM

import scripture

FIXTURES = pathlib.Path(__file__).resolve().parent.parent
MARKER = "Ġ"
LEAST_COUNT = 12
EPOCHS, BATCH, LENGTH, RATE = 3, 16, 256, 8e-3

torch.set_num_threads(1)


def exported_tokens(tokenizer: Tokenizer, counts: Counter) -> list[int]:
    """The token ids of the words to export, the most frequent first."""
    by_word = defaultdict(list)
    for token, identifier in tokenizer.get_vocab().items():
        by_word[token.removeprefix(MARKER).lower()].append((token, identifier))
    chosen = []
    for word, tokens in by_word.items():
        if word.isascii() and word.isalpha() and all(token.startswith(MARKER) for token, _ in tokens):
            if all(counts[identifier] >= LEAST_COUNT for _, identifier in tokens):
                chosen += [identifier for _, identifier in tokens]
    return sorted(chosen, key=lambda identifier: (-counts[identifier], identifier))


def loss_of(model: torch.nn.Module, table: torch.Tensor, windows: torch.Tensor) -> torch.Tensor:
    """Mean cross-entropy of tokens 2..n of each window [windows, tokens], with `table` for embeddings and head."""
    hidden = model.model(inputs_embeds=F.embedding(windows[:, :-1], table), use_cache=False).last_hidden_state
    return F.cross_entropy((hidden @ table.T).flatten(0, 1), windows[:, 1:].flatten())


def windows_of(tokenizer: Tokenizer, span: str) -> torch.Tensor:
    ids = tokenizer.encode(scripture.text(span)).ids
    return torch.tensor(ids[: len(ids) // LENGTH * LENGTH]).view(-1, LENGTH)


def train(model: torch.nn.Module, table: torch.Tensor, chosen: list[int], windows: torch.Tensor) -> torch.Tensor:
    """The trained rows [words, hidden], before they are brought to one length."""
    length = table.norm(dim=1).mean()
    rows = torch.nn.Parameter(F.normalize(table[chosen], dim=1) * length)
    optimizer = torch.optim.Adam([rows], lr=RATE, betas=(0.9, 0.98))
    generator = torch.Generator().manual_seed(1611)
    batches = [batch for _ in range(EPOCHS) for batch in windows[torch.randperm(len(windows), generator=generator)].split(BATCH)]
    index = torch.tensor(chosen)
    for step, batch in enumerate(batches):
        optimizer.param_groups[0]["lr"] = RATE * min(1, (step + 1) / 10) * (1 + math.cos(math.pi * step / len(batches))) / 2
        with torch.autocast("cpu", torch.bfloat16):
            loss = loss_of(model, table.index_copy(0, index, F.normalize(rows, dim=1) * length), batch)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        if step % 20 == 0:
            print(f"step {step:4d} of {len(batches)}  loss {loss.item():.4f}", flush=True)
    return rows.detach()


@torch.no_grad()
def evaluate(model: torch.nn.Module, table: torch.Tensor, windows: torch.Tensor) -> float:
    return sum(loss_of(model, table, part).item() * len(part) for part in windows.split(BATCH)) / len(windows)


def write(folder: pathlib.Path, words: list[str], vectors: numpy.ndarray) -> None:
    folder.mkdir(exist_ok=True)
    with open(folder / "newtestament.bin", "wb") as file:
        file.write(f"{len(words)} {vectors.shape[1]}\n".encode())
        for word, vector in zip(words, vectors):
            file.write(word.encode() + b" " + vector.astype("<f4").tobytes() + b"\n")
    lines = [f"{word} {' '.join(f'{value:.9g}' for value in vector)}\n" for word, vector in zip(words[:50], vectors)]
    (folder / "newtestament-50.w2v.txt").write_text(f"{len(lines)} {vectors.shape[1]}\n" + "".join(lines))
    (folder / "newtestament-50.glove.txt").write_text("".join(lines))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", type=pathlib.Path, default=FIXTURES / "model")
    parser.add_argument("--out", type=pathlib.Path, default=FIXTURES / "vectors")
    arguments = parser.parse_args()
    tokenizer = Tokenizer.from_file(str(arguments.model / "tokenizer.json"))
    model = AutoModelForCausalLM.from_pretrained(arguments.model, dtype=torch.float32).requires_grad_(False)
    table = model.get_input_embeddings().weight.data
    windows = windows_of(tokenizer, scripture.NEW_TESTAMENT_BEFORE_REVELATION)
    counts = Counter(windows.flatten().tolist())
    chosen = exported_tokens(tokenizer, counts)
    rows = train(model, table, chosen, windows)
    words = [tokenizer.id_to_token(identifier).removeprefix(MARKER) for identifier in chosen]
    write(arguments.out, words, rows.numpy())

    imported = table.clone()
    imported[chosen] = F.normalize(rows, dim=1) * table.norm(dim=1).mean()
    imported = imported.to(torch.bfloat16).float()
    revelation = windows_of(tokenizer, scripture.REVELATION)
    before, after = evaluate(model, table, revelation), evaluate(model, imported, revelation)
    covered = sum(counts[i] for i in chosen) / sum(counts.values())
    print(f"{len(chosen)} words, {covered:.1%} of the tokens; loss on Revelation {before:.4f} before the import, {after:.4f} after")


if __name__ == "__main__":
    main()
