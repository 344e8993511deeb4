"""Hashed pieces keep every promise a text encoder makes, and see what words have in common."""

# The name of a test is its sentence.
# ruff: noqa: D101, D103

from crosslens_text_encoder import SPEC, HashedPiecesParameters

from crosslens import Catalogue, EncodeContext
from crosslens.testing import TextEncoderContract, sequences


class TestHashedPieces(TextEncoderContract):
    spec = SPEC


def encoded(*texts, **parameters):
    catalogue = Catalogue(2 + len(texts), ("", "", *texts), ("", "", *texts))
    encoder = SPEC.build(HashedPiecesParameters(**parameters))
    return encoder.encode(sequences(catalogue, []), EncodeContext())[2:]


def test_other_endings_and_misspellings_stay_close():
    run, runs, misspelt, hose = encoded("running shoe", "running shoes", "runing shoe", "garden hose", width=2048)
    assert run @ runs > run @ misspelt > run @ hose + 0.2


def test_what_everybody_has_says_little():
    texts = ("shoe red", "shoe blue", "hat red", *["shoe grey"] * 20)
    weighed = encoded(*texts, width=2048)
    plain = encoded(*texts, width=2048, rarity=False)
    assert weighed[0] @ weighed[1] < plain[0] @ plain[1]
