"""Gradients as a graph transformation: a rule for each kind of computation, see README.md."""

from .differentiate import Backward, backward, differentiated

__all__ = ["Backward", "backward", "differentiated"]
