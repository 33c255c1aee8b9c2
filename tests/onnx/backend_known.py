"""What of the tests of `backend.py` is set aside, and what does not pass, with a reason each.

The second list is strict: a test that is listed and passes is a failure of the run.
"""

from __future__ import annotations

from fnmatch import fnmatch

ASIDE = {
    "integer convolutions and products": "ConvInteger QLinearConv MatMulInteger QLinearMatMul",
    "recurrent operators": "LSTM GRU RNN",
    "strings": "StringNormalizer StringConcat StringSplit RegexFullMatch TfIdfVectorizer",
    "random numbers": "Bernoulli Multinomial RandomNormal RandomNormalLike RandomUniform RandomUniformLike",
    "training": "Adam Adagrad Momentum Gradient SoftmaxCrossEntropyLoss NegativeLogLikelihoodLoss",
    "results whose shape depends on numbers that arrive": "NonZero Unique Compress NonMaxSuppression",
    "signals and pictures in files": "DFT STFT MelWeightMatrix HannWindow HammingWindow BlackmanWindow ImageDecoder",
    "operators of detectors and of geometry": "RoiAlign MaxRoiPool DeformConv AffineGrid Col2Im MaxUnpool Det",
    "other methods than networks": "ArrayFeatureExtractor Binarizer LabelEncoder TreeEnsemble",
    "batches in reverse": "ReverseSequence",
}
"""Operators that are no part of what this compiler is for, under the name of their kind."""

NAMES_ASIDE = {"training": r"training_dropout|training_default|batchnorm_\w+_training_mode"}
"""The same by the names of tests, as the operator alone does not tell."""

KNOWN: dict[str, str] = {}
"""Reasons by the names of tests, or by patterns of names."""


def reason(name: str) -> str:
    """Why a test is known not to pass; '' if it should."""
    return next((why for pattern, why in KNOWN.items() if fnmatch(name, pattern)), "")
