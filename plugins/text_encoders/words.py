"""Latent semantic analysis (Deerwester et al., 1990): TF-IDF of words and pairs of words, then a truncated SVD."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from scipy.sparse import csr_array
from sklearn.feature_extraction.text import TfidfVectorizer

from crosslens import EncodeContext, SequenceDataset, Stopped
from crosslens.data import Float32Array

from . import TfidfParameters
from .vectors import described, reduced, spread

_WORD = r"(?u)\b\w+\b"


@dataclass(frozen=True, slots=True)
class TfidfSvd:
    """Items are alike when their texts share rare words. Sequences are not looked at."""

    parameters: TfidfParameters

    def encode(self, train: SequenceDataset, context: EncodeContext) -> Float32Array:
        """Return float32 (I, D), D at most the asked width; 0 for items without a word. Stopped if told to stop."""
        ids, texts = described(train)
        if context.should_stop():
            raise Stopped
        words = word_matrix(texts, self.parameters.words)
        context.progress(0.5)
        if context.should_stop():
            raise Stopped
        vectors = reduced(words, self.parameters.width, context)
        context.progress(1.0)
        return spread(train.catalogue.size, ids, vectors)


def word_matrix(texts: Sequence[str], most: int) -> csr_array:
    """Return TF-IDF weights (N, W) with log-scaled counts, at most `most` words and pairs; W = 0 without any word."""
    vectorizer = TfidfVectorizer(
        token_pattern=_WORD, ngram_range=(1, 2), sublinear_tf=True, max_features=most, strip_accents="unicode"
    )
    try:
        return csr_array(vectorizer.fit_transform(texts))
    except ValueError:  # an empty vocabulary: no text holds a single letter or digit
        return csr_array((len(texts), 0))
