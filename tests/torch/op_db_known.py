"""Which of PyTorch's operators `op_db.py` takes, and what of their samples does not pass, with a reason each.

The lists are strict: a sample that is listed and has another state is a failure of the run.
"""

from __future__ import annotations

from fnmatch import fnmatch

OPERATORS = {
    "nn.functional.": """
        conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d linear embedding unfold
        adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d adaptive_max_pool1d adaptive_max_pool2d
        avg_pool1d avg_pool2d avg_pool3d max_pool1d max_pool2d max_pool3d
        batch_norm group_norm instance_norm layer_norm local_response_norm normalize rms_norm
        celu elu gelu glu hardshrink hardsigmoid hardswish hardtanh leaky_relu logsigmoid mish prelu relu relu6 selu
        silu softmin softplus softshrink softsign tanhshrink threshold
        interpolate upsample_bilinear upsample_nearest grid_sample pad
        pixel_shuffle pixel_unshuffle channel_shuffle
        scaled_dot_product_attention cosine_similarity pairwise_distance mse_loss l1_loss smooth_l1_loss
    """,
    "": """
        softmax log_softmax logsumexp sigmoid tanh logit
        abs add sub rsub mul div true_divide floor_divide remainder fmod pow float_power square sqrt rsqrt reciprocal
        neg positive sign sgn exp exp2 expm1 log log2 log10 log1p logaddexp sin cos tan asin acos atan atan2 sinh cosh
        asinh acosh atanh erf erfc sinc xlogy floor ceil round trunc frac clamp clamp_min clamp_max maximum minimum fmax
        fmin lerp addcmul addcdiv hypot deg2rad rad2deg nan_to_num
        eq ne lt le gt ge logical_and logical_or logical_xor logical_not isnan isinf isfinite where masked_fill
        sum mean amax amin max min aminmax prod std var std_mean var_mean norm linalg.vector_norm argmax argmin all any
        cumsum count_nonzero topk sort
        matmul mm bmm mv dot addmm addmv addbmm baddbmm einsum outer inner tensordot linalg.multi_dot
        reshape view flatten unflatten ravel permute transpose t movedim squeeze unsqueeze expand expand_as broadcast_to
        repeat tile repeat_interleave cat stack hstack vstack dstack column_stack split split_with_sizes tensor_split
        chunk unbind narrow slice select flip fliplr flipud rot90 roll diagonal tril triu contiguous clone
        atleast_1d atleast_2d atleast_3d meshgrid unfold float half byte int long bool
        __getitem__ gather index_select take_along_dim scatter scatter_add index_add index_copy index_fill index_put
        slice_scatter select_scatter
    """,
}
"""Names in op_db, below their prefix: the operators that convolutional networks have."""

OTHER = ("complex64", "complex128", "float64", "bfloat16")
"""Elements that are no part of what this compiler is for; samples that take or give them are set aside."""

DIFFERENT: dict[str, str] = {}
"""Samples that PyTorch computes otherwise, and why."""

SHAPES = "the shape of the result, or of a part, depends on numbers that arrive"
REFUSED: dict[str, str] = {
    "__getitem__/14": SHAPES,
    "repeat_interleave/[34]": SHAPES,
    "tensor_split/[0123]": SHAPES,
    "narrow/[13579]": "PyTorch does not export a place that arrives",
    "F.embedding/[569]": "it changes the table of weights, which it was given",
    "norm.nuc/*": "singular values",
}
"""Samples that are refused, and why, by OPERATOR/NUMBER or patterns."""


def known(name: str, number: int) -> tuple[str, str]:
    """The state that a sample is known to have, and why; ("passed", "") if it should pass."""
    place = f"{name}/{number}"
    for state, reasons in (("failed", DIFFERENT), ("refused", REFUSED)):
        for pattern, reason in reasons.items():
            if fnmatch(place, pattern):
                return state, reason
    return "passed", ""
