"""Models of one node (`one_operator.py`) that are refused, with a reason each; the list is strict."""

from __future__ import annotations

KNOWN: dict[str, str] = {}
"""Reasons by operator and version, as `Conv-1`; an operator alone stands for all of its versions."""


def reason(operator: str, version: int, seed: int) -> str:
    """Why a model is known to be refused; '' if it should not be."""
    return next((KNOWN[name] for name in (f"{operator}-{version}", operator) if name in KNOWN), "")
