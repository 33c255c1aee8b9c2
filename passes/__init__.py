"""Graph → Graph: the rewrites, in the order in which they run."""

from __future__ import annotations

from .arrangements import merge_arrangements
from .batch_norm import fold_batch_norm
from .batch_norm_before import fold_batch_norm_before
from .constants import fold_constants
from .dead_code import remove_dead_code
from .diamonds import merge_diamonds
from .fuse import fuse
from .groups import find_groups
from .identities import remove_identities
from .padding import fold_padding
from .parallel import merge_parallel
from .powers import lower_powers, lower_rounded_powers
from .report import Applied, Missed, Optimised, Pass
from .separable import lower_separable
from .subexpressions import merge_subexpressions
from .sums import simplify_sums
from .zero_rings import trim_zero_rings

__all__ = ["PIPELINE", "Applied", "Missed", "Optimised", "Pass"]

PIPELINE: tuple[Pass, ...] = (
    Pass(
        "dead_code",
        remove_dead_code,
        "exact",
        "what no output needs costs nothing to leave out; first, because a layer that nobody needs would count as a "
        "reader and so forbid folding and fusing",
    ),
    Pass(
        "constants",
        fold_constants,
        "exact",
        "what is known now need not be computed at run time; before all rewrites that ask whether weights are known",
    ),
    Pass(
        "identities",
        remove_identities,
        "exact",
        "what changes nothing is a copy at best; early, because it would stand between layers that belong together",
    ),
    Pass(
        "powers",
        lower_powers,
        "finite",
        "a square is one product, and a power is a logarithm and an exponential; early, because what is left is "
        "element-wise and can be merged and fused",
    ),
    Pass(
        "rounded_powers",
        lower_rounded_powers,
        "rounding",
        "the same for cubes, which two products make; apart, because of the second rounding",
    ),
    Pass(
        "arrangements",
        merge_arrangements,
        "exact",
        "of two changes of shape or of axes one is left; after identities, which removes those that cancel out",
    ),
    Pass(
        "sums",
        simplify_sums,
        "rounding",
        "a sum of products with one factor is a product less an element, and often a sum that is there already; before "
        "what is alike is merged",
    ),
    Pass(
        "subexpressions",
        merge_subexpressions,
        "exact",
        "what is computed twice alike is computed once; after the passes that make equal things look equal",
    ),
    Pass(
        "padding",
        fold_padding,
        "exact",
        "a convolution brings its own border of zeros; before all passes that look at windows",
    ),
    Pass(
        "dead_code",
        remove_dead_code,
        "exact",
        "again, because what was bypassed so far would count as a reader",
    ),
    Pass(
        "zero_rings",
        trim_zero_rings,
        "finite",
        "taps that are zero in every kernel need no multiplication; before separable lowering, which they would burden",
    ),
    Pass(
        "groups",
        find_groups,
        "finite",
        "blocks of zero weights need no multiplication; before separable lowering, which wants single input channels",
    ),
    Pass(
        "separable",
        lower_separable,
        "rounding",
        "k_h + k_w taps instead of k_h * k_w; before batch-norm folding, which rounds the kernel and so destroys an "
        "exact rank of one (the last pass takes the batch norm up instead)",
    ),
    Pass(
        "fold_batch_norm",
        fold_batch_norm,
        "rounding",
        "a layer less at no cost; before fusion, which would take the batch norm as a stage that costs something",
    ),
    Pass(
        "fold_batch_norm_before",
        fold_batch_norm_before,
        "rounding",
        "the same into the layers after it; second, because the layer before has no border that would forbid it",
    ),
    Pass(
        "subexpressions",
        merge_subexpressions,
        "exact",
        "again, because splitting and folding leave equal passes and equal weights behind",
    ),
    Pass(
        "diamonds",
        merge_diamonds,
        "exact",
        "x · sigmoid(x) reads x once, as one layer; before fusion, which then finds one reader of x and takes it up",
    ),
    Pass(
        "fuse",
        fuse,
        "exact",
        "each result is stored once, finished; after all rewrites that look at single layers, because it hides them",
        renames=True,
    ),
    Pass(
        "parallel",
        merge_parallel,
        "exact",
        "one reading of the image for several convolutions; after fusion, because a merged result is split again and "
        "what follows each part could not be fused any more",
        renames=True,
    ),
    Pass(
        "subexpressions",
        merge_subexpressions,
        "exact",
        "again, because merged branches may have equal weights",
    ),
    Pass(
        "dead_code",
        remove_dead_code,
        "exact",
        "last, because rewrites leave the weights behind that they replaced",
    ),
)
