"""What of the tests of `backend.py` is set aside, and what does not pass, with a reason each.

The lists are strict: a test that is listed and has another state is a failure of the run.
"""

from __future__ import annotations

from fnmatch import fnmatch

ASIDE = {
    "arithmetic on quantised integers": "ConvInteger QLinearConv MatMulInteger QLinearMatMul QLinearAdd QLinearMul",
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

LENGTHS = "they count with a length of the output that is no whole number"
DIFFERENT = {
    "node/test_averagepool_3d_dilations_large_count_include_pad_is_1_ceil_mode_is_True": "they count behind the pads",
    "node/test_resize_downsample_scales_cubic_align_corners": LENGTHS,
    "node/test_resize_downsample_scales_linear_align_corners": LENGTHS,
}
"""Tests whose expected numbers are not those of the standard's text, and why. ONNX Runtime computes what we do."""

SHAPES = "the shape of the result depends on numbers that arrive"
TURNS = "what is computed depends on numbers that arrive"
REFUSED = {
    "node/test_constantofshape_*": SHAPES,
    "node/test_range_*": SHAPES,
    "simple/test_sequence_model8": SHAPES,
    "node/test_if": TURNS,
    "node/test_loop11": TURNS,
    "node/test_scan_sum": "a Scan of opset 8, of sequences of several lengths",
    "local_ops/test_gemm_CM_transA": "no model of the standard: a C of M numbers does not broadcast to M × N",
    "local_ops/test_lstm_clip": "bounds of what goes into the activations of recurrent layers are not built",
}
"""Reasons by the names of tests, or by patterns of names."""


def known(name: str) -> tuple[str, str]:
    """The state that a test is known to have, and why; ("passed", "") if it should pass."""
    if name in DIFFERENT:
        return "failed", DIFFERENT[name]
    return next((("refused", why) for pattern, why in REFUSED.items() if fnmatch(name, pattern)), ("passed", ""))
