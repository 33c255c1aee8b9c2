"""Learning what cnncc compiles: `cnncc.learn`."""

from .augment import Crop, Flip, Shift
from .fitting import Fitted, Patience, fit, fit_network
from .gradients import gradient
from .history import Epoch, History
from .losses import BinaryCrossEntropy, CrossEntropy, MeanSquares
from .optimisers import SGD, AdamW
from .schedules import Constant, Cosine, OneCycle, Plateau, Steps
from .step import Step

__all__ = [
    "SGD",
    "AdamW",
    "BinaryCrossEntropy",
    "Constant",
    "Cosine",
    "Crop",
    "CrossEntropy",
    "Epoch",
    "Fitted",
    "Flip",
    "History",
    "MeanSquares",
    "OneCycle",
    "Patience",
    "Plateau",
    "Shift",
    "Step",
    "Steps",
    "fit",
    "fit_network",
    "gradient",
]
