"""What happened in training, epoch by epoch."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from .plain import plain
from .shown import listed, shown


@dataclass(frozen=True)
class Epoch:
    """One epoch: means over its images, of the training and of the validation data, and the rate of its last step."""

    number: int
    loss: float
    rate: float
    accuracy: float | None = None
    validation_loss: float | None = None
    validation_accuracy: float | None = None
    seconds: float = 0.0
    metrics: Mapping[str, float] = field(default_factory=dict)
    """Of the validation data, by name."""

    @property
    def judged(self) -> float:
        """What tells whether an epoch is better than another: the lower, the better."""
        return self.loss if self.validation_loss is None else self.validation_loss

    def __str__(self) -> str:
        parts = [f"loss {self.loss:.4f}", *([f"accuracy {self.accuracy:.2%}"] if self.accuracy is not None else [])]
        if self.validation_loss is not None:
            parts.append(f"validation {self.validation_loss:.4f}")
        if self.validation_accuracy is not None:
            parts.append(f"{self.validation_accuracy:.2%}")
        parts.extend(f"{name} {value:.4g}" for name, value in self.metrics.items())
        return f"epoch {self.number + 1}: {', '.join(parts)}"


@dataclass
class History:
    """All epochs so far, in order."""

    epochs: list[Epoch] = field(default_factory=list)

    def __repr__(self) -> str:
        return listed(f"<History of {len(self)} epochs>", [str(epoch) for epoch in self])

    def _repr_html_(self) -> str:
        """The losses as lines, and a table, for notebooks."""
        return shown("history", self)

    def __iter__(self) -> Iterator[Epoch]:
        return iter(self.epochs)

    def __len__(self) -> int:
        return len(self.epochs)

    def __getitem__(self, number: int) -> Epoch:
        return self.epochs[number]

    @property
    def best(self) -> Epoch:
        """The epoch with the lowest loss of the validation data (of the training data where there are none)."""
        return min(self.epochs, key=lambda epoch: epoch.judged)

    def to_json(self) -> str:
        """A list with an object for each epoch; numbers that are not finite are the texts of `plain`."""
        return json.dumps(plain(self.described()), indent=2) + "\n"

    def described(self) -> list[dict[str, Any]]:
        return [asdict(epoch) for epoch in self.epochs]
