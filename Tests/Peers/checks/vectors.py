"""Word vectors, fastText models and static tables, beside gensim, fastText itself, model2vec and the C library's strtof."""

import ctypes
import json
import random

import fasttext
import numpy
from gensim.models import KeyedVectors
from safetensors.numpy import load_file

from verdict import Verdict, all_equal, at_most
from workspace import ROOT, graft, king_james, model, scratch, wordllama


def words_of(path) -> tuple[list[str], numpy.ndarray]:
    """The words and vectors of a table that Graft wrote as safetensors."""
    tensors = load_file(path)
    data = tensors["vocabulary.bytes"].tobytes()
    ends = [0, *tensors["vocabulary.ends"].tolist()]
    return [data[begin:end].decode() for begin, end in zip(ends, ends[1:])], tensors["embeddings"]


def same_bits(one: numpy.ndarray, other: numpy.ndarray) -> list:
    """The rows that differ in a bit."""
    if one.shape != other.shape or one.dtype != other.dtype:
        return [f"{one.dtype}{one.shape} and {other.dtype}{other.shape}"]
    return numpy.flatnonzero((one.view("u4") != other.view("u4")).any(axis=1)).tolist()


def decimals():
    """Numbers in a text as strtof reads them, however they are spelled."""
    strtof = ctypes.CDLL(None).strtof
    strtof.restype, strtof.argtypes = ctypes.c_float, [ctypes.c_char_p, ctypes.c_void_p]
    chance = random.Random(5)
    forms = ["%.6f", "%.5g", "%.9g", "%.17g", "%e", "%.25f", "%.3f", "%.12f"]
    lines, expected = [], []
    for row in range(20_000):
        numbers = [(chance.choice(forms) % (chance.gauss(0, 1) * 10 ** chance.randrange(-6, 4))).encode() for _ in range(20)]
        lines.append(b"w%d " % row + b" ".join(numbers))
        expected.append([strtof(number, None) for number in numbers])
    text, out = scratch() / "decimals.txt", scratch() / "decimals.safetensors"
    text.write_bytes(b"\n".join(lines) + b"\n")
    graft("convert", text, out, "--quiet")
    found = words_of(out)[1]
    yield all_equal("numbers of a text, beside strtof", same_bits(found, numpy.array(expected, dtype="f4")), len(lines))


def gensim_files():
    """What gensim wrote is read, and what Graft wrote gensim reads, in every form the same."""
    generator = numpy.random.default_rng(9)
    words = [f"wort{number}" for number in range(4000)] + ["naïve", "日本", "a\u00a0b", "1984", "-0.5", "nan"]
    table = (generator.standard_normal((len(words), 50)) * 10.0 ** generator.integers(-6, 6, (len(words), 50))).astype("f4")
    table[-3:, :4] = [-0.0, 1e-45, 1.17549435e-38, 3.4028235e38]
    vectors = KeyedVectors(50)
    vectors.add_vectors(words, table)
    for label, options, form in (("word2vec text", {}, ["word2vec", ".txt"]), ("word2vec binary", {"binary": True}, ["word2vec", ".bin"]), ("GloVe", {"write_header": False}, ["glove", ".txt"])):
        path, table_path, again = scratch() / "gensim", scratch() / "gensim.safetensors", scratch() / ("again" + form[1])
        vectors.save_word2vec_format(str(path), **options)
        graft("convert", path, table_path, "--quiet", "--overwrite")
        found = words_of(table_path)
        yield all_equal(f"{label} of gensim", same_bits(found[1], table) + [word for word, other in zip(found[0], words) if word != other], len(words))
        graft("convert", table_path, again, "--to", form[0], "--quiet", "--overwrite")
        read = KeyedVectors.load_word2vec_format(str(again), binary=form[1] == ".bin", no_header=form[0] == "glove")
        yield all_equal(f"{label} of Graft in gensim", same_bits(read.vectors, table) + [word for word, other in zip(read.index_to_key, words) if word != other], len(words))


def fasttext_models():
    """Vectors of known and of unknown words, beside fastText."""
    import tokenizers

    directory, path = model("f32"), scratch() / "fasttext.bin"
    text = king_james()[1]
    trained = fasttext.train_unsupervised(str(text), model="skipgram", dim=576, bucket=5000, minCount=3, epoch=1, thread=1, minn=3, maxn=6, verbose=0)
    trained.save_model(str(path))
    table = scratch() / "fasttext.safetensors"
    converting = graft("convert", path, table, "--allow-loss", "--quiet")
    words, found = words_of(table)
    expected = numpy.array([trained.get_word_vector(word) for word in words])
    yield all_equal("words of a fastText model", same_bits(found, expected) + [word for word, other in zip(words, trained.words) if word != other], len(trained.words))
    yield at_most("memory of converting a fastText model", converting.peak_bytes / 2**20, 128, " MiB")

    # A model whose tokens take vectors as they are: each row says which one it was.
    folded = {word.lower() for word in words}
    tokenizer = tokenizers.Tokenizer.from_file(str(directory / "tokenizer.json"))
    for source in (path, table):
        out = scratch() / "started"
        report = json.loads(graft("warm-start", directory, "--vectors", source, "--out", out, "--scale", "none", "--json", "--quiet", "--overwrite").output)
        rows = load_file(out / "model.safetensors")["model.embed_tokens.weight"]
        different, compared = [], 0
        for identifier in range(0, tokenizer.get_vocab_size(), 7):
            spelling, text = tokenizer.id_to_token(identifier), tokenizer.decode([identifier])
            word = text.removeprefix(" ")
            # Tokens that are no text, those that a rule before finds a word for, and those whose n-grams training hasn't met aren't compared here.
            if not word.isalpha() or spelling.lower() in folded or word.lower() in folded or not trained.get_word_vector(word).any():
                continue
            compared += 1
            if same_bits(rows[identifier : identifier + 1], trained.get_word_vector(word)[None]):
                different.append(word)
        label = "unknown words in a model" + (", after a conversion" if source is table else "")
        yield all_equal(label, different, compared)
        yield Verdict(f"{label}, reported", f"{report['matched']['subwords']} tokens", "more than those compared", report["matched"]["subwords"] >= compared)


def static_tables():
    """model2vec reads what Graft wrote; wordllama's table has its words."""
    import model2vec

    source, copy = ROOT / "Fixtures" / "golden" / "static-embeddings" / "model2vec", scratch() / "model2vec"
    graft("convert", source, copy, "--quiet")
    one, other = model2vec.StaticModel.from_pretrained(source), model2vec.StaticModel.from_pretrained(copy)
    yield all_equal("model2vec of Graft in model2vec", same_bits(one.embedding, other.embedding), len(one.embedding))

    import tokenizers

    weights, tokenizer = wordllama()
    text = scratch() / "wordllama.txt"
    graft("convert", weights, text, "--to", "glove", "--tokenizer", tokenizer, "--allow-loss", "--quiet")
    table, rows = load_file(weights)["embedding.weight"].astype("f4"), tokenizers.Tokenizer.from_file(str(tokenizer))
    different, count = [], 0
    for line in text.read_text().splitlines():
        word, *numbers = line.split(" ")
        count += 1
        if same_bits(numpy.array(numbers, dtype="f4")[None], table[rows.token_to_id("▁" + word)][None]):
            different.append(word)
    yield all_equal("words of wordllama's table", different, count)


def checks():
    yield from decimals()
    yield from gensim_files()
    yield from fasttext_models()
    yield from static_tables()
