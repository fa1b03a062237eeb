"""A tiny random BERT with a real tokenizer, as sentence-transformers lays models out, and what transformers computes with it.

`golden/encoders/bert/` is a model directory with the tokenizer `golden/tokenizers/bert.json`; its `golden.safetensors` holds
    input_ids [4, 20] I32, attention_mask [4, 20] I32   sequences of 20, 13, 7 and 3 tokens, padded
    hidden    [4, 20, 32] F32    the last hidden states, of which those of padding mean nothing
    vectors   [4, 32] F32        for each sequence the mean of its tokens' states, divided by its length
    text.vectors [n, 32] F32     the same for the texts in the metadata under `texts` (JSON), cut to 24 tokens
"""

import json
import shutil

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer
from transformers import BertConfig, BertModel

from golden import GOLDEN, randomize

LENGTHS = [20, 13, 7, 3]
LONGEST = 24
TEXTS = [
    "The quick brown fox", "a", "Größe und ÜBERMUT — naïve café!", "你好世界 means hello, world", "Unspellable \U0001fae0 things [MASK] 12,345",
    "many words that go on and on and on until the model has had enough of them and more of them after that, and even then some more",
]


def pooled(hidden: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    weights = mask[:, :, None].float()
    return torch.nn.functional.normalize((hidden * weights).sum(1) / weights.sum(1), dim=1)


@torch.no_grad()
def main() -> None:
    directory = GOLDEN / "encoders" / "bert"
    shutil.rmtree(directory, ignore_errors=True)
    tokenizer = Tokenizer.from_file(str(GOLDEN / "tokenizers" / "bert.json"))
    config = BertConfig(
        vocab_size=tokenizer.get_vocab_size(), hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
        max_position_embeddings=40, layer_norm_eps=1e-12,
    )
    config._attn_implementation = "eager"
    model = BertModel(config, add_pooling_layer=False).eval()
    randomize(model, 400)
    model.save_pretrained(directory)
    shutil.copy(GOLDEN / "tokenizers" / "bert.json", directory / "tokenizer.json")
    write = lambda name, value: (directory / name).write_text(json.dumps(value, indent=1) + "\n")
    (directory / "1_Pooling").mkdir()
    write("1_Pooling/config.json", {"word_embedding_dimension": 32, "pooling_mode_cls_token": False, "pooling_mode_mean_tokens": True})
    write("modules.json", [
        {"idx": n, "name": str(n), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for n, (path, kind) in enumerate([("", "Transformer"), ("1_Pooling", "Pooling"), ("2_Normalize", "Normalize")])
    ])
    write("sentence_bert_config.json", {"max_seq_length": LONGEST, "do_lower_case": False})

    ids = torch.randint(5, config.vocab_size, (4, 20), generator=torch.Generator().manual_seed(401))
    mask = torch.tensor([[1] * n + [0] * (20 - n) for n in LENGTHS])
    hidden = model(ids * mask, attention_mask=mask).last_hidden_state
    tokenizer.enable_truncation(LONGEST)
    vectors = [pooled(model(torch.tensor([e.ids])).last_hidden_state, torch.ones(1, len(e.ids))) for e in tokenizer.encode_batch(TEXTS)]
    tensors = {
        "input_ids": (ids * mask).int(), "attention_mask": mask.int(), "hidden": hidden, "vectors": pooled(hidden, mask),
        "text.vectors": torch.cat(vectors),
    }
    save_file({n: t.contiguous().clone() for n, t in tensors.items()}, directory / "golden.safetensors", {"texts": json.dumps(TEXTS)})
    print(f"hidden: deviation {hidden.std():.3f}; cosine of the first two texts {(vectors[0] @ vectors[1].T).item():.3f}")


if __name__ == "__main__":
    main()
