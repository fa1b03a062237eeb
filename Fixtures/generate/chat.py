"""Records what transformers makes of conversations with the chat templates of known models.

    chat.py FOLDER

`chat_templates.py` says where the templates come from; FOLDER has those that no package has. Their texts aren't kept:
golden/chat/templates.json has for each its origin, the hash by which Graft knows it (see
`Sources/GraftModels/ChatTemplates/JinjaText.swift`, which does the same), the name that Graft gives it, and for every
conversation the text and the tokens that `apply_chat_template` gives, with and without the beginning of an answer, or null where the
template refuses.

golden/chat/byte-level.json, golden/chat/sentencepiece.json: small tokenizers with all the templates' special tokens.

golden/chat/answers.json: how the small real model answers in some templates, greedily in f32 and as transformers does it: `name` and
`messages`, the tokens of the prompt, those of the answer without what ends it, its text, and whether the model ended it.
"""

import json
import pathlib
import sys

sys.path.append(sys.path.pop(0))  # the packages before the scripts beside this one: gguf is both

import torch
import transformers
from tokenizers import AddedToken, Tokenizer

import chat_templates

FIXTURES = pathlib.Path(__file__).resolve().parent.parent
GOLDEN = FIXTURES / "golden"
OUTPUT = GOLDEN / "chat"

SPECIAL = [
    "<|im_start|>", "<|im_end|>", "<|im_sep|>", "<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>",
    "<start_of_turn>", "<end_of_turn>", "<bos>", "<|user|>", "<|assistant|>", "<|system|>", "<|end|>",
]  # fmt: skip

# The name that Graft knows a template by, the tokenizer that it is tried with, and the tokens at the ends of texts.
TEMPLATES = {
    "chatml": ["openhermes", "axolotl-chatml", "mergekit-chatml", "unsloth-chatml"],
    "smollm2": ["smollm2"],
    "qwen2.5": ["trl-qwen2_5"],
    "qwen3": ["trl-qwen3", "qwen3"],
    "llama2": ["llama-2-chat"],
    "llama3": ["trl-llama3", "axolotl-llama3", "unsloth-llama3"],
    "llama3.1": ["trl-llama3_1", "trl-llama3_2"],
    "mistral-v0.1": ["mistral-7b-instruct-v0.1"],
    "mistral-v0.2": ["mistral-7b-instruct-v0.2"],
    "mistral-v1": ["axolotl-mistral_v1", "mergekit-mistral"],
    "mistral-v3": ["axolotl-mistral_v2v3"],
    "mistral-v3-tekken": ["axolotl-mistral_v3_tekken", "mistral-nemo"],
    "gemma": ["trl-gemma", "axolotl-gemma"],
    "gemma3": ["trl-gemma3"],
    "zephyr": ["zephyr-7b-beta", "unsloth-zephyr"],
    "phi3": ["trl-phi3"],
    "phi3.5": ["trl-phi3_5"],
    "alpaca": ["axolotl-alpaca"],
}
MARKS = {"llama3": ("<|begin_of_text|>", "<|eot_id|>"), "gemma": ("<bos>", "<end_of_turn>"), "llama3.1": ("<|begin_of_text|>", "<|eot_id|>"), "gemma3": ("<bos>", "<end_of_turn>")}
SENTENCEPIECE = ("llama2", "mistral", "zephyr", "phi3", "alpaca")

CONVERSATIONS = [
    [("user", "Hello")],
    [("user", "Who are you?"), ("assistant", "A model.")],
    [("system", "Be brief."), ("user", "Hi"), ("assistant", "Hello!")],
    [("system", "  Be brief. \n"), ("user", "  spaces around \n"), ("assistant", "\n\n yes \t"), ("user", "and?"), ("assistant", " more  ")],
    [("user", "a"), ("assistant", "b"), ("user", "c"), ("assistant", "d"), ("user", "e")],
    [("user", "Über naïve 你好 🫠?\n\tcode(x)"), ("assistant", "Ωmega – «да»\r\n```\nx = 1\n```")],
    [("system", ""), ("user", "q"), ("assistant", "r")],
    [("system", "s"), ("user", "q")],
    [("user", "q"), ("assistant", "<think>\nreason\n</think>\n\nanswer"), ("user", "again"), ("assistant", "<think>why</think>\nthus")],
    [("user", "q"), ("assistant", "one"), ("assistant", "two")],
    [("assistant", "I begin"), ("user", "ok")],
    [("user", "q"), ("system", "late"), ("assistant", "r")],
    [("user", "{bos} {eos} {{ x }} {% y %}"), ("assistant", "{role} <|im_end|> </s> done")],
]  # fmt: skip


def normalized(text: str) -> tuple[str, str | None]:
    """A template without what makes no difference, and its default system message."""
    text = text.replace("\r\n", "\n").strip()
    out, quote, tag, space, i = [], None, False, False, 0

    def word(c):
        return c == "_" or c.isalnum()

    while i < len(text):
        c = text[i]
        i += 1
        if quote:
            if c == "\\" and i < len(text):
                out += ["\n"] if text[i] == "n" else [c, text[i]]
                i += 1
                continue
            out.append("'" if c == quote else c)
            quote = None if c == quote else quote
        elif not tag:
            tag = c == "{" and text[i : i + 1] in ("{", "%")
            out.append(c)
        elif c.isspace():
            space = True
        else:
            if space and word(out[-1]) and word(c):
                out.append(" ")
            space = False
            quote = c if c in "'\"" else None
            out.append("'" if c == '"' else c)
            tag = not (c == "}" and out[-2] in "}%")
    result = "".join(out)
    for key in ("role", "content"):
        result = result.replace(f"message.{key}", f"message['{key}']")
    opening = "'<|im_start|>system\n"
    at = result.find(opening)
    while at >= 0:
        start = at + len(opening)
        end = result.find("<|im_end|>", start)
        if end < 0:
            break
        message = result[start:end]
        if message and not set(message) & set("'\\{}"):
            return result[:start] + "{system}" + result[end:], message
        at = result.find(opening, start)
    return result, None


def digest(text: str) -> str:
    value = 0xCBF29CE484222325
    for byte in normalized(text)[0].encode():
        value = ((value ^ byte) * 0x100000001B3) & (2**64 - 1)
    return f"{value:016x}"


def tokenizer(kind: str) -> Tokenizer:
    base = {"byte-level": "qwen2", "sentencepiece": "llama2"}[kind]
    result = Tokenizer.from_file(str(GOLDEN / "tokenizers" / f"{base}.json"))
    result.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in SPECIAL])
    if kind == "sentencepiece":  # as Phi-3's: these swallow the white space after them
        result.add_special_tokens([AddedToken(token, special=True, normalized=False, rstrip=True) for token in ("<|user|>", "<|end|>")])
    result.save(str(OUTPUT / f"{kind}.json"), pretty=False)
    return result


def rendered(tokenizer, template, messages, continues):
    try:
        text = tokenizer.apply_chat_template(
            messages, chat_template=template, tokenize=False, add_generation_prompt=continues, date_string="26 Jul 2024"
        )
    except Exception as error:
        return {"refused": type(error).__name__}
    return {"text": text, "ids": tokenizer(text, add_special_tokens=False)["input_ids"]}


# Which template the small model answers in, and what it is asked. It has no special tokens but the end of a text.
ANSWERS = [("zephyr", "unsloth-zephyr"), ("chatml", "openhermes")]
QUESTIONS = [[("user", "And it came to pass")], [("system", "In the beginning"), ("user", "Who are the sons of Jacob?"), ("assistant", "Reuben."), ("user", "And the LORD said unto Moses,")]]


@torch.no_grad()
def answers(texts: dict[str, str]) -> list[dict]:
    tokenizer = transformers.AutoTokenizer.from_pretrained(FIXTURES / "model")
    model = transformers.AutoModelForCausalLM.from_pretrained(FIXTURES / "model", dtype=torch.float32, attn_implementation="eager").eval()
    rows = []
    for name, source in ANSWERS:
        for question in QUESTIONS:
            messages = [{"role": role, "content": content} for role, content in question]
            ids = tokenizer.apply_chat_template(messages, chat_template=texts[source], add_generation_prompt=True, return_dict=False)
            output = model.generate(torch.tensor([ids]), max_new_tokens=48, do_sample=False, pad_token_id=0, output_logits=True, return_dict_in_generate=True)
            best = torch.stack(output.logits)[:, 0].topk(2).values
            tokens = output.sequences[0, len(ids) :].tolist()
            ended = tokens[-1] == tokenizer.eos_token_id
            tokens = tokens[:-1] if ended else tokens
            rows.append({"name": name, "messages": messages, "prompt": ids, "tokens": tokens, "text": tokenizer.decode(tokens), "ended": ended})
            print(f"{name}: {rows[-1]['text']!r}, ended {ended} (least margin {(best[:, 0] - best[:, 1]).min():.4f})")
    return rows


def main(folder: pathlib.Path):
    texts = chat_templates.texts(folder)
    OUTPUT.mkdir(exist_ok=True)
    tokenizers = {kind: tokenizer(kind) for kind in ("byte-level", "sentencepiece")}
    conversations = [[{"role": role, "content": content} for role, content in messages] for messages in CONVERSATIONS]
    rows, known = [], {}
    for name, sources in TEMPLATES.items():
        kind = "sentencepiece" if name.startswith(SENTENCEPIECE) else "byte-level"
        start, end = MARKS.get(name, ("<s>", "</s>") if kind == "sentencepiece" else ("", "<|im_end|>"))
        peer = transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizers[kind], bos_token=start or None, eos_token=end)
        for source in sources:
            template = texts[source]
            results = [[rendered(peer, template, messages, continues) for continues in (False, True)] for messages in conversations]
            row = {
                "name": name, "source": source, "origin": chat_templates.origin(source), "digest": digest(template), "defaultSystem": normalized(template)[1],
                "tokenizer": kind, "start": start, "end": end, "results": results,
            }  # fmt: skip
            if known.setdefault(row["digest"], name) != name:
                sys.exit(f"{source}: the hash of {known[row['digest']]}")
            # The texts of another source with the same renderings add nothing but the hash.
            same = [other for other in rows if other["name"] == name and other.get("results") == results]
            if same:
                row["results"] = same[0]["source"]
            rows.append(row)
    (OUTPUT / "templates.json").write_text(json.dumps({"conversations": conversations, "templates": rows}, ensure_ascii=False, separators=(",", ":")) + "\n")
    for row in rows:
        print(f'    (0x{row["digest"]}, "{row["name"]}"),  // {row["source"]}')
    (OUTPUT / "answers.json").write_text(json.dumps(answers(texts), ensure_ascii=False, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
