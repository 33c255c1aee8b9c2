"""Gradients as a graph transformation: a rule for each kind of computation, see README.md."""

from .differentiate import differentiated

__all__ = ["differentiated"]
