"""Learning what cnncc compiles: `cnncc.learn`."""

from .gradients import gradient

__all__ = ["gradient"]
