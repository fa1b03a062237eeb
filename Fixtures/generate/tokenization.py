"""Trains small tokenizers of every supported kind with the `tokenizers` package and records what they make of a corpus.

golden/tokenizers/corpus.txt: 10,000 and more lines of varied text, made by this script (several scripts, emoji, code, odd white
space, control characters). Lines end with LF; in them `\\n`, `\\r`, `\\0` and `\\\\` stand for the characters.
golden/tokenizers/NAME.json: a trained `tokenizer.json`.
golden/tokenizers/NAME.ids: a row for every 8 lines of the corpus: the FNV-1a hash (32 bits, hexadecimal) of their ids, special
tokens added, each id as four bytes, little-endian, and each line ended by four bytes of 255. Every 10th row has the ids of the
first of its lines after that.
"""

import collections
import pathlib
import random

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

OUTPUT = pathlib.Path(__file__).resolve().parent.parent / "golden" / "tokenizers"
LINES = 10_500

LLAMA3 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
QWEN2 = LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")
O200K = (
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
    r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
    r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
DEEPSEEK = [
    r"\p{N}{1,3}",
    r"[一-龥぀-ゟ゠-ヿ]+",
    r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
]

# ---------------------------------------------------------------------------------------------------------------------
# The corpus

WORDS = {
    "latin": "the of and a to in is you that it he was for on are as with his they at be this have from or one had by word but not what all were we when your can said there use an each which she do how their if will up other about out many then them these so some her would make like him into time has look two more write go see number no way could people my than first water been call who oil its now find long down day did get come made may part",
    "accents": "café naïve Übergröße façade señor Ångström élève cœur Łódź žluťoučký kůň ąęść ğüşıöç İstanbul ﬁnance straße ŐRÜLT",
    "decomposed": "cafe\u0301 nai\u0308ve A\u030angstro\u0308m e\u0301le\u0300ve o\u0323\u0302 q\u0307\u0323 \u1100\u1161\u11a8",
    "cyrillic": "привет мир как дела это было давно человек время рука дело жизнь день глаз слово место вопрос лицо друг Россия ЁЖИК",
    "greek": "καλημέρα κόσμε άνθρωπος θάλασσα Ελλάδα λόγος ψυχή ΟΔΥΣΣΕΥΣ",
    "chinese": "你好世界 机器学习 模型 数据 语言 我们 今天天气很好 中文分词，测试。 训练！",
    "japanese": "こんにちは 世界 カタカナ ひらがな 東京タワー 機械学習です。 ｶﾀｶﾅ",
    "korean": "안녕하세요 세계 한국어 모델 학습 데이터",
    "arabic": "مرحبا بالعالم اللغة العربية كتاب شمس قمر ٠١٢٣٤٥",
    "hebrew": "שלום עולם ספר בית שָׁלוֹם",
    "hindi": "नमस्ते दुनिया हिन्दी भाषा किताब १२३४५ क्षत्रिय",
    "thai": "สวัสดีชาวโลก ภาษาไทย ทดสอบ ๑๒๓",
    "emoji": "😀 👍🏽 👩‍👩‍👧‍👦 🇫🇷🇯🇵 ❤️ 🏳️‍🌈 ✨ 🤖🧠 1️⃣ ☃ 🫠",
    "code": "def f(x): return x**2 + 1;for(int i=0;i<n;++i){a[i]+=b[i];} <div class=\"x\"> </div> #include <stdio.h> x != y && !z SELECT * FROM t WHERE id=42; let s = \"a\\tb\" // done /* c */ lambda: None std::vector<int> foo_bar FooBar fooBar $HOME ~/.rc http://a.b/c?d=e&f=g#h user@host",
    "numbers": "0 1 12 123 1234 12345 1234567890 3.14159 1e-9 0xFF 1,000,000 ½ ² Ⅷ ٣٤ ५६ ①② 2024-01-31 12:34:56",
    "contractions": "I'm you're he's we've they'd I'll don't DON'T I'M YOU'RE HE'S 'tis rock'n'roll ’s it’s 'ſ 'S",
    "marks": "▁ ▁▁a Ġ Ċ <s> </s> <unk> <|end|> <|start|>x <0x41> <pad> [MASK] <|endoftext|>",
    "symbols": "… — – “quoted” ‘x’ «guillemets» © ® ™ € £ ¥ ° ± × ÷ ≠ ≤ ∑ √ ∞ ← → ⇒ ■ ● ★ ♪ 𝒳 𝔘 ℝ ﬀ ｆｕｌｌ　ｗｉｄｔｈ ¡¿ §",
}
SPACES = [" ", " ", " ", " ", " ", " ", "  ", "   ", "\t", " \t", "    ", "        ", "\u00a0", "\u3000", "\u2003", "\u200b", "", "\n", "\n\n", " \n ", "\r\n", "\u2028", "\x0b", "\x0c", "\x85"]
CONTROLS = ["\x00", "\x01", "\x07", "\x1b[0m", "\x7f", "\ufeff", "\u200d", "\u202e", "\ufffd", "\ufffe", "\u0378", "\U000e0001", "\U0010ffff", "\ue000"]


def random_scalar(rng: random.Random) -> str:
    block = rng.choice([0x20, 0xA0, 0x100, 0x300, 0x370, 0x400, 0x590, 0x900, 0xE00, 0x1100, 0x1E00, 0x2000, 0x3000, 0x4E00, 0xAC00, 0xF900, 0x10000, 0x1D400, 0x1F300, 0x20000])
    return chr(block + rng.randrange(0x100))


def corpus(count: int = LINES, seed: int = 1) -> list[str]:
    rng = random.Random(seed)
    pools = {name: text.split(" ") for name, text in WORDS.items()}
    names = list(pools)
    lines = ["", " ", "  ", "\n", "a", "▁", "\u0301", "é", "x" * 100, " " * 100, "ab" * 60, "é" * 50, "中" * 60]
    while len(lines) < count:
        style = rng.random()
        mixed = rng.random() < 0.3
        own = rng.choice(names if rng.random() < 0.7 else ["latin"])
        parts = []
        for _ in range(rng.randint(1, 9)):
            word = rng.choice(pools[rng.choice(names) if mixed else own])
            if rng.random() < 0.1:
                word = rng.choice([word.upper(), word.title(), word + rng.choice(".,;:!?…)»"), "(" + word, word + word])
            if rng.random() < 0.03:
                word = rng.choice(CONTROLS) + word
            if style < 0.1 and rng.random() < 0.5:
                word = "".join(random_scalar(rng) for _ in range(rng.randint(1, 4)))
            parts.append(word)
            odd = rng.random() < (0.35 if style > 0.6 else 0.03)
            parts.append(rng.choice(SPACES) if odd else " ")
        if rng.random() < 0.7:
            parts.pop()
        lines.append("".join(parts))
    return lines


def escaped(line: str) -> str:
    return line.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r").replace("\0", "\\0")


# ---------------------------------------------------------------------------------------------------------------------
# The tokenizers

def byte_level(pre, normalizer=None, ignore_merges=False, template=False) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE(ignore_merges=ignore_merges))
    tokenizer.pre_tokenizer = pre
    if normalizer:
        tokenizer.normalizer = normalizer
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    trainer = trainers.BpeTrainer(
        vocab_size=1000, special_tokens=["<|start|>", "<|end|>", "<|endoftext|>"], initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    tokenizer.train_from_iterator(corpus(4000, seed=2), trainer)
    if template:
        tokenizer.post_processor = processors.Sequence([
            processors.ByteLevel(trim_offsets=False),
            processors.TemplateProcessing(single="<|start|> $A", pair="<|start|> $A <|start|> $B", special_tokens=[("<|start|>", tokenizer.token_to_id("<|start|>"))]),
        ])
    return tokenizer


def split(*expressions: str):
    steps = [pre_tokenizers.Split(Regex(expression), "isolated") for expression in expressions]
    return pre_tokenizers.Sequence(steps + [pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])


def sentencepiece(normalizer=None, pre=None, fuse_unk=True, byte_fallback=True) -> Tokenizer:
    specials = ["<unk>", "<s>", "</s>"] + ([f"<0x{byte:02X}>" for byte in range(256)] if byte_fallback else [])
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=fuse_unk, byte_fallback=byte_fallback))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    # The commonest characters, named, because the trainer's own choice among equally common ones is random.
    counts = collections.Counter("".join(corpus(4000, seed=2)).replace(" ", "▁"))
    alphabet = sorted(counts, key=lambda character: (-counts[character], character))[:400]
    trainer = trainers.BpeTrainer(
        vocab_size=1300, special_tokens=specials, initial_alphabet=alphabet, limit_alphabet=len(alphabet), show_progress=False
    )
    tokenizer.train_from_iterator(corpus(4000, seed=2), trainer)
    # The bytes must be in the vocabulary and not be found in the text: build anew with the same model.
    trained = Tokenizer(tokenizer.model)
    trained.add_special_tokens(["<unk>", "<s>", "</s>"])
    if normalizer:
        trained.normalizer = normalizer
    if pre:
        trained.pre_tokenizer = pre
    trained.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    trained.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    return trained


def word_piece(lowercase: bool) -> Tokenizer:
    """A vocabulary of the commonest characters, beginnings and continuations of words, chosen here so that it is always the same."""
    normalizer = normalizers.BertNormalizer(lowercase=lowercase)
    pre = pre_tokenizers.BertPreTokenizer()
    counts = collections.Counter()
    for line in corpus(4000, seed=2):
        for word, _ in pre.pre_tokenize_str(normalizer.normalize_str(line)):
            for start in range(len(word)):
                for end in range(start + 1, min(len(word), start + 9) + 1):
                    counts[("##" if start else "") + word[start:end]] += 1
    commonest = lambda chosen, number: sorted(chosen, key=lambda piece: (-counts[piece], piece))[:number]
    characters = commonest((p for p in counts if len(p.removeprefix("##")) == 1), 900)
    longer = commonest((p for p in counts if len(p.removeprefix("##")) > 1), 1200)
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *characters, *longer]
    tokenizer = Tokenizer(models.WordPiece({p: i for i, p in enumerate(pieces)}, unk_token="[UNK]", max_input_chars_per_word=60))
    tokenizer.add_special_tokens(pieces[:5])
    tokenizer.normalizer, tokenizer.pre_tokenizer, tokenizer.decoder = normalizer, pre, decoders.WordPiece()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return tokenizer


def added() -> Tokenizer:
    """Added tokens of every kind between ordinary text."""
    tokenizer = byte_level(pre_tokenizers.ByteLevel(add_prefix_space=True), normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase(), normalizers.Strip()]))
    tokenizer.add_special_tokens([AddedToken("[MASK]", lstrip=True, special=True), AddedToken("<pad>", rstrip=True, special=True)])
    tokenizer.add_tokens([AddedToken("word", single_word=True), AddedToken("ÜBER", normalized=True), AddedToken("他", normalized=False), AddedToken("  ", normalized=False), AddedToken("    ", normalized=False)])
    return tokenizer


def tokenizers() -> dict[str, Tokenizer]:
    byte = pre_tokenizers.ByteLevel(add_prefix_space=False)
    metaspace = lambda scheme, split: pre_tokenizers.Metaspace(prepend_scheme=scheme, split=split)
    return {
        "gpt2": byte_level(byte),
        "llama3": byte_level(split(LLAMA3), ignore_merges=True, template=True),
        "qwen2": byte_level(split(QWEN2), normalizers.NFC()),
        "smollm": byte_level(pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), byte])),
        "o200k": byte_level(split(O200K)),
        "deepseek": byte_level(split(*DEEPSEEK)),
        "added": added(),
        "llama2": sentencepiece(normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])),
        "mistral": sentencepiece(None, metaspace("first", False)),
        "metaspace": sentencepiece(None, metaspace("always", True), fuse_unk=False, byte_fallback=False),
        "bert": word_piece(lowercase=True),
        "bert-cased": word_piece(lowercase=False),
    }


def fingerprint(lines: list[list[int]]) -> int:
    value = 0x811C9DC5
    for ids in lines:
        for number in [*ids, 0xFFFFFFFF]:
            for byte in number.to_bytes(4, "little"):
                value = (value ^ byte) * 0x01000193 & 0xFFFFFFFF
    return value


def main() -> None:
    OUTPUT.mkdir(parents=True, exist_ok=True)
    lines = corpus()
    (OUTPUT / "corpus.txt").write_bytes("".join(escaped(line) + "\n" for line in lines).encode())
    for name, tokenizer in tokenizers().items():
        (OUTPUT / f"{name}.json").write_text(tokenizer.to_str(pretty=False), encoding="utf-8")
        tokenizer = Tokenizer.from_file(str(OUTPUT / f"{name}.json"))
        ids = [tokenizer.encode(line).ids for line in lines]
        rows = []
        for start in range(0, len(ids), 8):
            row = f"{fingerprint(ids[start:start + 8]):08x}"
            rows.append(" ".join([row, *map(str, ids[start])]) if start % 80 == 0 else row)
        (OUTPUT / f"{name}.ids").write_text("\n".join(rows) + "\n")


if __name__ == "__main__":
    main()
