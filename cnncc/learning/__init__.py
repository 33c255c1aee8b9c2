"""Learning what cnncc compiles: `cnncc.learn`."""

from ..history import Epoch, History
from .augment import Crop, Flip, Shift
from .course import Patience
from .fitting import Fitted, fit, fit_network
from .gradients import gradient
from .losses import BinaryCrossEntropy, CrossEntropy, LossOf, MeanSquares
from .metrics import TopK
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
    "LossOf",
    "MeanSquares",
    "OneCycle",
    "Patience",
    "Plateau",
    "Shift",
    "Step",
    "Steps",
    "TopK",
    "fit",
    "fit_network",
    "gradient",
]
