"""Loads word vectors with gensim. Settings: path."""

import json
import sys

from gensim.models import KeyedVectors

settings = json.loads(sys.argv[1])
print(len(KeyedVectors.load_word2vec_format(settings["path"], no_header=True)))
