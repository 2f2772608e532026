"""Argument checks. The error names the argument, the allowed values and the value given."""

from __future__ import annotations

from collections.abc import Sequence


def require(right: bool, name: str, value: object, allowed: str) -> None:
    """Check an argument.

    Args:
        right: Whether the value is allowed.
        name: The argument's name, as the caller wrote it.
        value: The value given.
        allowed: Allowed values, e.g. "at least 4".

    Raises:
        ValueError: If it is not.
    """
    if not right:
        raise ValueError(f"{name} must be {allowed}, but is {value!r}.")


def require_weights(weights: Sequence[float] | None) -> None:
    """Check the weights of a sum of losses.

    Raises:
        ValueError: If one is negative, or all are 0, or there are none.
    """
    right = weights is None or (min(weights, default=-1.0) >= 0 and sum(weights) > 0)
    require(right, "weights", weights, "None, or non-negative with a sum above 0")


def require_utf8(name: str) -> None:
    """Check that the name of a class, file or study can be written to a text file.

    Raises:
        ValueError: If it holds lone surrogates, as names of files that are not UTF-8 do.
    """
    try:
        name.encode()
    except UnicodeEncodeError:
        raise ValueError(f"The name {name!r} is not valid UTF-8; rename it.") from None
