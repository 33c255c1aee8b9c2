"""Graph → Graph: the rewrites, in the order in which they run."""

from __future__ import annotations

from .batch_norm import fold_batch_norm
from .dead_code import remove_dead_code
from .fuse import fuse
from .identities import remove_identities
from .report import Fired, NotFired, Optimised, Pass
from .separable import lower_separable

__all__ = ["PIPELINE", "Fired", "NotFired", "Optimised", "Pass"]

PIPELINE: tuple[Pass, ...] = (
    Pass(
        "dead_code",
        remove_dead_code,
        "exact",
        "what no output needs costs nothing to leave out; first, because a layer that nobody needs would count as a "
        "reader and so forbid folding and fusing",
    ),
    Pass(
        "identities",
        remove_identities,
        "exact",
        "an arrangement that arranges nothing is a copy; early, because it would stand between layers that belong "
        "together",
    ),
    Pass(
        "separable",
        lower_separable,
        "rounding",
        "k_h + k_w taps instead of k_h * k_w; before batch-norm folding, which rounds the kernel and so destroys an "
        "exact rank of one (the row pass takes the batch norm up instead)",
    ),
    Pass(
        "fold_batch_norm",
        fold_batch_norm,
        "rounding",
        "a layer less at no cost; before fusion, which would take the batch norm as a stage that costs something",
    ),
    Pass(
        "fuse",
        fuse,
        "exact",
        "each result is stored once, finished; after all rewrites that look at single layers, because it hides them",
    ),
    Pass(
        "dead_code",
        remove_dead_code,
        "exact",
        "last, because rewrites leave the weights behind that they replaced",
    ),
)
