"""What transformers computes for `Fixtures/model` (bf16 weights widened to f32, eager attention): `golden/model/golden.safetensors`.

    passage.input_ids   [128] I32        the first tokens of text/revelation.txt
    passage.log_probability [127] F32    of token t + 1 after tokens 0...t
    passage.positions   [8] I32          15, 31, ... 127
    passage.logits      [8, 2048] F32    the logits at those positions
    validation.input_ids [4096] I32      the first tokens of text/revelation.txt
    validation.loss     [16] F32         mean loss of each window; their mean is the loss of all, as the windows are of one size
    greedy.N.prompt     [n] I32          the ids of a prompt; its text is in the file's metadata under the same name
    greedy.N.continuation [32] I32       what greedy decoding appends; its text likewise
    greedy.N.margin     [32] F32         how far the chosen token's logit is above the next best

Nothing is put before or after the ids of a text. The 4096 validation tokens are cut into 16 windows of 256, one after the other and
not overlapping; a window starts with no memory of the one before and predicts its tokens 2 to 256, so 255 predictions each.
"""

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from golden import FIXTURES, GOLDEN

PROMPTS = ["And Jesus said unto", "In the beginning God created"]


@torch.no_grad()
def main() -> None:
    tokenizer = AutoTokenizer.from_pretrained(FIXTURES / "model")
    model = AutoModelForCausalLM.from_pretrained(FIXTURES / "model", dtype=torch.float32, attn_implementation="eager").eval()
    text = (FIXTURES / "text" / "revelation.txt").read_text()
    ids = torch.tensor(tokenizer(text)["input_ids"])
    assert tokenizer.decode(ids) == text, "the tokenizer loses text"

    passage = ids[:128]
    logits = model(passage[None]).logits[0]
    positions = torch.arange(15, 128, 16)
    windows = ids[:4096].view(16, 256)
    predicted = model(windows).logits[:, :-1]
    losses = F.cross_entropy(predicted.transpose(1, 2), windows[:, 1:], reduction="none").mean(1)
    tensors = {
        "passage.input_ids": passage.int(),
        "passage.log_probability": logits.log_softmax(-1)[:-1].gather(1, passage[1:, None])[:, 0],
        "passage.positions": positions.int(),
        "passage.logits": logits[positions],
        "validation.input_ids": ids[:4096].int(),
        "validation.loss": losses,
    }
    texts = {}
    for number, prompt in enumerate(PROMPTS):
        start = torch.tensor([tokenizer(prompt)["input_ids"]])
        output = model.generate(
            start, max_new_tokens=32, do_sample=False, pad_token_id=0, output_logits=True, return_dict_in_generate=True
        )
        continuation = output.sequences[0, start.shape[1] :]
        best = torch.stack(output.logits)[:, 0].topk(2).values
        tensors[f"greedy.{number}.prompt"] = start[0].int()
        tensors[f"greedy.{number}.continuation"] = continuation.int()
        tensors[f"greedy.{number}.margin"] = best[:, 0] - best[:, 1]
        texts[f"greedy.{number}.prompt"] = prompt
        texts[f"greedy.{number}.continuation"] = tokenizer.decode(continuation)
        assert len(continuation) == 32
        print(f"{prompt} |{texts[f'greedy.{number}.continuation']}  (least margin {tensors[f'greedy.{number}.margin'].min():.4f})")
    print(f"loss on the validation tokens: {losses.mean():.4f}")
    (GOLDEN / "model").mkdir(parents=True, exist_ok=True)
    save_file({name: tensor.contiguous().clone() for name, tensor in tensors.items()}, GOLDEN / "model" / "golden.safetensors", texts)


if __name__ == "__main__":
    main()
