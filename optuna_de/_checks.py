"""The one sentence that a wrong argument gets: its name, what is allowed, and its value."""

from __future__ import annotations

from collections.abc import Sequence


def require(right: bool, name: str, value: object, allowed: str) -> None:
    """Check an argument.

    Args:
        right: Whether the value is allowed.
        name: The argument's name, as the caller wrote it.
        value: What was given.
        allowed: What would do, e.g. "at least 4".

    Raises:
        ValueError: Where it is not.
    """
    if not right:
        raise ValueError(f"{name} must be {allowed}, but is {value!r}.")


def require_weights(weights: Sequence[float] | None) -> None:
    """Check the weights of a sum of losses.

    Raises:
        ValueError: Where one is negative, or all are 0, or there are none.
    """
    right = weights is None or (min(weights, default=-1.0) >= 0 and sum(weights) > 0)
    require(right, "weights", weights, "None, or non-negative with a sum above 0")
