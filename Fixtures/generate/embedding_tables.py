"""Writes the vectors of Formats/fasttext and Formats/static-embeddings, and the golden files of Fixtures/golden/{fasttext,static-embeddings}.

Run from the repository's root with fasttext-wheel 0.9.2 (fastText itself), gensim 4.4.0, model2vec 0.10.0, safetensors 0.8.0, tokenizers 0.23.3.
"""

import json
import pathlib
import shutil
import struct
import sys
import tempfile

import fasttext
import model2vec
import numpy
import safetensors.numpy
import tokenizers
from gensim.models import FastText
from gensim.models.fasttext import load_facebook_vectors, save_facebook_model

ROOT = pathlib.Path(__file__).resolve().parents[2]
FORMATS = ROOT / "Formats"
GOLDEN = ROOT / "Fixtures" / "golden"

TEXT = """in the beginning God created the heaven and the earth
and the earth was without form and void and darkness was upon the face of the deep
naïve café über straße façade and the café
в начале сотворил Бог небо и землю
日本 語 東京 は 日本 の 首都
😀 🎉 a b cc -0.5 3,000 don't
"""
# Known words, words that only their n-grams know, words too short for n-grams, and what isn't a word.
ASKED = ["the", "earth", "café", "日本", "😀", "a", "</s>", "начале", "beginnings", "unearthly", "cafés", "日本語", "начало", "xyz", "東", "é", "<b>", "i", ""]


def fresh(path):
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(parents=True)
    return path


def dump(path, value):
    rows = ",\n".join("  " + json.dumps(row, ensure_ascii=False) for row in value)
    path.write_text(f"[\n{rows}\n]\n")


def bits(vector):
    return [int(value) for value in numpy.asarray(vector, dtype="<f4").view("<u4")]


# --- fastText: vectors ---------------------------------------------------------------------------------------------------------


def matrix(rows, columns, quantized=0, values=None):
    """A matrix of the numbers 0, ¼, ½, …, with its byte for quantized ones before it."""
    count = max(rows, 0) * max(columns, 0) if values is None else values
    return struct.pack("<Bqq", quantized, rows, columns) + numpy.arange(count, dtype="<f4").__mul__(numpy.float32(0.25)).tobytes()


def codebook(columns, width, first, /, **written):
    """256 centroids for parts of so many columns, all 0 but the first after the zeroth, which begins as `first` does."""
    parts = -(-columns // width)
    last = columns - (parts - 1) * width
    fields = {"columns": columns, "parts": parts, "width": width, "last": last} | written
    centroids = [first[column] if code == 1 else 0 for size in [width] * (parts - 1) + [last] for code in range(256) for column in range(size)]
    return struct.pack("<4i", *fields.values()) + numpy.array(centroids, dtype="<f4").tobytes()


def quantized(rows, columns, /, norms=1, flag=1, codes=None, **written):
    """A quantized matrix with parts of two columns: all codes are 1, and centroid 1 of a part is 1, 2; the factor of each row is ½."""
    codes = rows * -(-columns // 2) if codes is None else codes
    data = struct.pack("<BBqqi", flag, norms, rows, columns, codes) + b"\1" * max(codes, 0) + codebook(columns, 2, [1, 2], **written)
    return data + (b"\1" * rows + codebook(1, 1, [0.5]) if norms == 1 else b"")


def arguments(magic=793712314, version=12, dim=2, model=2, bucket=4, minn=3, maxn=4):
    return struct.pack("<14i", magic, version, dim, 5, 5, 1, 5, 1, 2, model, bucket, minn, maxn, 100) + struct.pack("<d", 1e-4)


def dictionary(words, labels=(), size=None, counts=None, pruned=-1, pairs=(), types=None):
    kinds = [0] * len(words) + [1] * len(labels) if types is None else types
    head = counts or (len(words), len(labels))
    data = struct.pack("<3iqq", len(words) + len(labels) if size is None else size, *head, 100, pruned)
    for word, kind in zip([*words, *labels], kinds):
        data += word + b"\0" + struct.pack("<qb", 7, kind)
    return data + b"".join(struct.pack("<2i", *pair) for pair in pairs)


def fasttext_vectors():
    """Yields (verdict, name, bytes, rule, byte of the error)."""
    two = dictionary([b"the", "café".encode()])
    inputs, outputs = matrix(6, 2), matrix(2, 2)
    good = arguments() + two + inputs + outputs
    entries, end = 64 + 28, 64 + len(two)
    yield "accept", "skipgram", good, None, None
    yield "accept", "no-ngrams", arguments(bucket=0, minn=0, maxn=0) + two + matrix(2, 2) + outputs, None, None
    yield "accept", "version-11-supervised", arguments(version=11, model=3) + dictionary([b"the"], [b"__label__x"]) + matrix(5, 2) + matrix(1, 2), None, None
    yield "accept", "labels", arguments(model=3) + dictionary([b"the"], [b"__label__x", b"__label__y"]) + matrix(5, 2) + outputs, None, None
    yield "accept", "pruned", arguments() + dictionary([b"the"], pruned=2, pairs=[(3, 0), (1, 1)]) + quantized(3, 2) + matrix(2, 2), None, None
    yield "accept", "pruned-all", arguments() + dictionary([b"the"], pruned=0) + quantized(1, 2, norms=0) + matrix(2, 2), None, None
    yield "accept", "quantized", arguments(dim=3) + two + quantized(6, 3) + quantized(2, 3, norms=0), None, None
    yield "accept", "bytes", arguments() + dictionary([b"\xff\xfe", b""]) + inputs + outputs, None, None
    yield "accept", "none", arguments() + dictionary([]) + matrix(4, 2) + matrix(0, 2), None, None

    yield "reject", "arguments-cut", good[:63], "fasttext F-1", 63
    yield "reject", "magic", arguments(magic=793712315) + good[64:], "fasttext F-1", 0
    for version in (0, 10, 13, -1):
        yield "reject", f"version{version}", arguments(version=version) + good[64:], "fasttext F-2", 4
    for name, at, values in (("dim", 8, (-1, 0, 65537)), ("bucket", 40, (0, -4)), ("minn", 44, (5, -1)), ("maxn", 48, (65, -1))):
        for value in values:
            yield "reject", f"{name}{value}", arguments(**{name: value}) + good[64:], "fasttext F-3", at
    yield "reject", "dictionary-cut", good[:80], "fasttext F-4", 64
    for name, options in (("size", {"size": 3}), ("negative", {"size": -1, "counts": (-1, 0)}), ("labels", {"counts": (2, 1)}), ("limit", {"size": 100_000_001, "counts": (100_000_001, 0)})):
        yield "reject", f"entries-{name}", arguments() + dictionary([b"the", b"of"], **options) + inputs + outputs, "fasttext F-4", 64
    many = dictionary([b"the"], size=99_999_999, counts=(99_999_999, 0))
    yield "reject", "entries-many", arguments() + many + inputs + outputs, "fasttext F-5", entries
    yield "reject", "word-type", arguments() + dictionary([b"the"], [b"x"], types=[1, 1]) + matrix(5, 2) + outputs, "fasttext F-5", entries + 12
    yield "reject", "label-type", arguments() + dictionary([b"the"], [b"x"], types=[0, 0]) + matrix(5, 2) + outputs, "fasttext F-5", entries + 13 + 10
    yield "reject", "word-cut", arguments() + dictionary([b"a", b"b"])[:-11] + b"b" * 11, "fasttext F-5", entries + 11
    yield "reject", "entry-cut", arguments() + dictionary([b"a", b"bcd"])[:-1], "fasttext F-5", entries + 11
    yield "reject", "word-long", arguments() + dictionary([b"w" * 65537]) + matrix(5, 2) + outputs, "fasttext F-5", entries
    yield "reject", "word-ngrams", arguments(minn=1, maxn=64) + dictionary([b"w" * 4096]) + matrix(5, 2) + outputs, "fasttext F-5", entries
    for name, pruned, pairs, at in (("negative", -2, [], 84), ("many", 5, [], 84), ("bucket", 1, [(4, 0)], entries + 13), ("row", 1, [(0, 1)], entries + 13),
                                    ("twice", 2, [(1, 0), (1, 1)], entries + 21), ("below", 1, [(-1, 0)], entries + 13)):
        yield "reject", f"kept-{name}", arguments() + dictionary([b"the"], pruned=pruned, pairs=pairs) + quantized(1 + max(pruned, 0), 2) + outputs, "fasttext F-6", at
    yield "reject", "kept-dense", arguments() + dictionary([b"the"], pruned=1, pairs=[(1, 0)]) + matrix(2, 2) + outputs, "fasttext F-6", 84
    yield "reject", "kept-cut", arguments() + dictionary([b"the"], pruned=2, pairs=[(1, 0)]), "fasttext F-6", entries + 13
    codes = end + 18
    for name, options, at in (("flag", {"flag": 2}, end), ("norms", {"norms": 2}, end + 1), ("codes-negative", {"codes": -1}, codes), ("codes-fewer", {"codes": 5}, codes),
                              ("parts", {"parts": 2}, codes + 10), ("part", {"width": -1}, codes + 10), ("last", {"last": 1}, codes + 10), ("width", {"columns": 3}, codes + 10)):
        yield "reject", f"quantized-{name}", arguments() + two + quantized(6, 2, **options) + outputs, "fasttext F-7", at
    yield "reject", "quantized-cut", (arguments() + two + quantized(6, 2))[:-1], "fasttext F-8", end + 22 + 6 + 16 + 2048 + 6 + 16
    yield "reject", "quantized-byte", arguments() + two + matrix(6, 2, quantized=2) + outputs, "fasttext F-7", end
    yield "reject", "quantized-output", arguments() + two + inputs + matrix(2, 2, quantized=1), "fasttext F-7", end + 17 + 48
    yield "reject", "input-head", (arguments() + two + inputs)[: end + 16], "fasttext F-8", end + 9
    yield "reject", "input-cut", (arguments() + two + inputs)[: end + 40], "fasttext F-8", end + 17
    yield "reject", "input-rows", arguments() + two + matrix(5, 2) + outputs, "fasttext F-8", end + 1
    yield "reject", "input-columns", arguments() + two + matrix(4, 3) + outputs, "fasttext F-8", end + 1
    yield "reject", "input-negative", arguments() + two + matrix(-6, 2) + outputs, "fasttext F-8", end + 1
    yield "reject", "input-overflow", arguments() + two + matrix(1 << 62, 2, values=12) + outputs, "fasttext F-8", end + 17
    yield "reject", "output-missing", arguments() + two + inputs, "fasttext F-8", end + 17 + 48
    yield "reject", "output-cut", good[:-1], "fasttext F-8", end + 17 + 48 + 17
    yield "reject", "more", good + b"\0", "fasttext F-9", len(good)


def write_fasttext_vectors():
    folder = FORMATS / "fasttext"
    for verdict in ("accept", "reject"):
        fresh(folder / verdict)
    rows = []
    for verdict, name, data, rule, at in fasttext_vectors():
        (folder / verdict / name).write_bytes(data)
        row = {"file": f"{verdict}/{name}", "verdict": verdict}
        rows.append(row | {key: value for key, value in (("rule", rule), ("offset", at)) if value is not None})
    dump(folder / "vectors.json", rows)


# --- fastText: golden files ----------------------------------------------------------------------------------------------------


def write_golden_fasttext():
    folder = fresh(GOLDEN / "fasttext")
    sentences = [line.split() for line in TEXT.splitlines()]
    model = FastText(sentences, vector_size=8, window=3, min_count=1, bucket=120, min_n=3, max_n=6, epochs=3, workers=1, seed=1)
    save_facebook_model(model, str(folder / "gensim.bin"))
    with tempfile.TemporaryDirectory() as scratch:
        text, labelled = pathlib.Path(scratch) / "text", pathlib.Path(scratch) / "labelled"
        text.write_text(TEXT)
        labelled.write_text("".join(f"__label__{'a' if number % 2 else 'b'} {line}\n" for number, line in enumerate(TEXT.splitlines())))
        common = {"dim": 8, "bucket": 120, "minCount": 1, "epoch": 3, "thread": 1, "verbose": 0}
        fasttext.train_unsupervised(str(text), model="skipgram", minn=2, maxn=5, **common).save_model(str(folder / "skipgram.bin"))
        fasttext.train_unsupervised(str(text), model="cbow", minn=0, maxn=0, **common).save_model(str(folder / "no-ngrams.bin"))
        fasttext.train_supervised(str(labelled), minn=2, maxn=4, wordNgrams=2, **common).save_model(str(folder / "classifier.bin"))
        # As wide as the model of Fixtures/model, for the manual.
        gospels = common | {"dim": 128, "bucket": 64, "minCount": 80}
        fasttext.train_unsupervised(str(ROOT / "Fixtures" / "text" / "gospels.txt"), model="skipgram", **gospels).save_model(str(folder / "gospels.bin"))
        classifier = fasttext.train_supervised(str(labelled), minn=2, maxn=4, **common | {"bucket": 500})
        classifier.quantize(qnorm=True, cutoff=300)
        classifier.save_model(str(folder / "classifier.ftz"))
    values = {}
    for name in ("gensim.bin", "skipgram.bin", "no-ngrams.bin", "classifier.bin", "classifier.ftz"):
        model = fasttext.load_model(str(folder / name))
        values[name] = {
            "words": model.get_words(),
            "vectors": {word: bits(model.get_word_vector(word)) for word in model.get_words() + ASKED},
            "subwords": {word: [int(row) for row in model.get_subwords(word)[1]] for word in ASKED},
        }
    vectors = load_facebook_vectors(str(folder / "gensim.bin"))
    # gensim cuts n-grams from the end of a line too, and has no vector for what has none.
    values["gensim.bin"]["gensim"] = {word: bits(vectors[word]) for word in ASKED if word not in ("</s>", "")}
    (folder / "values.json").write_text(json.dumps(values, ensure_ascii=False, indent=1) + "\n")


# --- static embeddings ---------------------------------------------------------------------------------------------------------


def wordpiece(words):
    vocabulary = {word: position for position, word in enumerate(["[PAD]", "[UNK]", *words])}
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = tokenizers.normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
    tokenizer.add_special_tokens(["[PAD]", "[UNK]"])
    return tokenizer


WORDS = ["the", "of", "##ing", "café", "God", "##s"]


def table(rows, columns=3, dtype="<f4"):
    return (numpy.arange(rows * columns, dtype="<f4").reshape(rows, columns) / 4 - 1).astype(dtype)


def write_table(folder, tensors, words=WORDS, tokenizer=None):
    folder.mkdir(parents=True)
    safetensors.numpy.save_file(tensors, folder / "model.safetensors")
    if words:
        (tokenizer or wordpiece(words)).save(str(folder / "tokenizer.json"), pretty=False)


def worded(words, ends=None):
    spelled = [word.encode() for word in words]
    places = numpy.cumsum([len(word) for word in spelled], dtype="<i8") if ends is None else numpy.array(ends, dtype="<i8")
    return {"vocabulary.bytes": numpy.frombuffer(b"".join(spelled), dtype=numpy.uint8), "vocabulary.ends": places}


def write_static_vectors():
    folder = FORMATS / "static-embeddings"
    for verdict in ("accept", "reject"):
        fresh(folder / verdict)
    count = len(WORDS) + 2
    starting = {word: position + 2 for position, word in enumerate(WORDS) if not word.startswith("##")}
    plain = {word: table(count)[row].tolist() for word, row in starting.items()}
    mapping = numpy.array([0, 0, 3, 1, 2, 3, 0, 1], dtype="<i8")
    weights = numpy.array([0, 0, 0.5, 2, 1, 3, 1, 1], dtype="<f8")
    mapped = {word: (table(4)[mapping[row]] * weights[row]).tolist() for word, row in starting.items()}
    rows = []

    def add(verdict, name, tensors, words=WORDS, expected=None, rule=None, tokenizer=None, nested=None):
        write_table(folder / verdict / name / (nested or ""), tensors, words, tokenizer)
        if nested:
            modules = [{"idx": 0, "name": "0", "path": nested, "type": "sentence_transformers.models.StaticEmbedding"}]
            (folder / verdict / name / "modules.json").write_text(json.dumps(modules))
            (folder / verdict / name / "config_sentence_transformers.json").write_text("{}")
        row = {"file": f"{verdict}/{name}", "verdict": verdict}
        rows.append(row | {key: value for key, value in (("rule", rule), ("words", expected)) if value is not None})

    add("accept", "model2vec", {"embeddings": table(count)}, expected=plain)
    add("accept", "half", {"embeddings": table(count, dtype="<f2")}, expected=plain)
    whole = {word: (table(count)[row] * 4).tolist() for word, row in starting.items()}
    add("accept", "bytes", {"embeddings": (table(count) * 4).astype("i1")}, expected=whole)
    add("accept", "mapped", {"embeddings": table(4), "mapping": mapping, "weights": weights}, expected=mapped)
    add("accept", "weighted", {"embeddings": table(count), "weights": weights.astype("<f4")},
        expected={word: (table(count)[row] * weights[row]).tolist() for word, row in starting.items()})
    add("accept", "sentence-transformers", {"embedding.weight": table(count)}, expected=plain, nested="0_StaticEmbedding")
    named = ["the", "of the", "", "日本"]
    add("accept", "words", {"embeddings": table(4)} | worded(named[:2] + named[3:] + ["x"]), words=None,
        expected={word: table(4)[row].tolist() for row, word in enumerate(named[:2] + named[3:] + ["x"])})
    level = tokenizers.Tokenizer(tokenizers.models.WordLevel({"[UNK]": 0, "the": 1, "of": 2}, unk_token="[UNK]"))
    level.add_special_tokens(["[UNK]"])
    add("accept", "word-level", {"embeddings": table(3)}, tokenizer=level, expected={"the": table(3)[1].tolist(), "of": table(3)[2].tolist()})
    unigram = tokenizers.Tokenizer(tokenizers.models.Unigram([("<unk>", 0.0), ("▁the", -1.0), ("ing", -2.0), ("▁of", -3.0)], unk_id=0))
    unigram.add_special_tokens(["<unk>"])
    add("accept", "unigram", {"embeddings": table(4)}, tokenizer=unigram, expected={"the": table(4)[1].tolist(), "of": table(4)[3].tolist()})

    add("reject", "no-matrix", {"embeddings": table(count)[:, 0].copy()}, rule="static-embeddings E-1")
    add("reject", "two-matrices", {"embeddings": table(count), "more": table(count)}, rule="static-embeddings E-1")
    add("reject", "integers", {"embeddings": table(count).astype("<i4")}, rule="static-embeddings E-1")
    for name, row in (("above", 4), ("below", -1), ("far", 1 << 40)):
        wrong = mapping.copy()
        wrong[4] = row
        add("reject", f"mapping-{name}", {"embeddings": table(4), "mapping": wrong}, rule="static-embeddings E-2")
    add("reject", "weights-fewer", {"embeddings": table(count), "weights": weights[1:]}, rule="static-embeddings E-3")
    add("reject", "weights-of-rows", {"embeddings": table(4), "mapping": mapping, "weights": weights[:4]}, rule="static-embeddings E-3")
    for name, ends in (("falling", [3, 2, 9, 9]), ("beyond", [3, 4, 5, 1000]), ("negative", [-1, 2, 3, 4])):
        add("reject", f"ends-{name}", {"embeddings": table(4)} | worded(["the", "of", "a", "café"], ends), words=None, rule="static-embeddings E-5")
    dump(folder / "vectors.json", rows)


def write_golden_static():
    folder = fresh(GOLDEN / "static-embeddings")
    tokenizer = wordpiece(WORDS)
    generator = numpy.random.default_rng(5)
    vectors = generator.standard_normal((len(WORDS) + 2, 128)).astype("<f4")
    model = model2vec.StaticModel(vectors, tokenizer, {}, normalize=True)
    model.save_pretrained(folder / "model2vec")
    # As `quantize_model` with a vocabulary of three clusters leaves it, which would need scikit-learn.
    mapping = numpy.array([0, 0, 2, 1, 0, 2, 1, 1])
    small = model2vec.StaticModel((vectors[:3] * 40).astype("i1"), tokenizer, {}, weights=generator.random(len(mapping)), token_mapping=mapping)
    small.save_pretrained(folder / "quantized")
    for name in ("model2vec", "quantized"):
        (folder / name / "README.md").unlink()
        (folder / name / "model.safetensors").chmod(0o644)
    values = {}
    for name, each in (("model2vec", model), ("quantized", small)):
        rows = each.embedding if each.token_mapping is None else each.embedding[each.token_mapping]
        rows = rows.astype("<f4") * (1 if each.weights is None else each.weights[:, None].astype("<f4"))
        values[name] = {token: bits(rows[position]) for token, position in tokenizer.get_vocab().items() if token.isalpha()}
    (folder / "values.json").write_text(json.dumps(values, ensure_ascii=False, indent=1) + "\n")


if __name__ == "__main__":
    assert sys.byteorder == "little"
    write_fasttext_vectors()
    write_golden_fasttext()
    write_static_vectors()
    write_golden_static()
