"""The epoch that validation likes best: its weights, in a file that a killed run goes on from."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor, nn

from optuna_de.cnn import checkpoint
from optuna_de.cnn.loop import Epoch

State = dict[str, Tensor]


def state_of(module: nn.Module) -> State:
    """Return copies of a module's tensors on the CPU."""
    return {name: value.detach().cpu().clone() for name, value in module.state_dict().items()}


class BestEpoch:
    """Keeps the weights of the epoch with the least validation error, the first of equals.

    Args:
        path: The file; its folder exists.
        key: Names the training that it belongs to.
    """

    def __init__(self, path: Path, key: str) -> None:
        self._path, self._key = path, key
        self._kept = checkpoint.load(path, key)

    def look(self, epoch: Epoch, module: nn.Module) -> None:
        """Keep the module's weights, which have just been scored, where they are the best."""
        error, kept = epoch.validation_error, self._kept
        known = kept is not None and kept["epoch"] <= epoch.number  # a later one is another run's
        if error is None or (kept is not None and known and kept["error"] <= error):
            return
        self._kept = {"epoch": epoch.number, "error": error, "state": state_of(module)}
        checkpoint.save(self._path, self._key, self._kept)

    def of(self, epochs: tuple[Epoch, ...]) -> tuple[int, State]:
        """Return number and weights of the best of these epochs.

        Raises:
            ValueError: Where its weights are lost.
        """
        errors = [epoch.validation_error for epoch in epochs]
        number = 1 + min(range(len(errors)), key=lambda i: (errors[i], i))
        if self._kept is None or self._kept["epoch"] != number:
            raise ValueError(f"{self._path} lacks epoch {number}; train anew in another --out.")
        return number, self._kept["state"]
