"""Heritage of a trial: the weights that a child starts from, stored and found by trial number.

They lie in the artifact store, so any machine that shares it finds them. Matrices are stored in
bfloat16, which a training does not feel.
"""

from __future__ import annotations

import io
import pickle
from dataclasses import dataclass
from pathlib import Path

import optuna
import torch
from optuna.artifacts import FileSystemArtifactStore
from optuna.trial import FrozenTrial
from torch import Tensor, nn

from optuna_de import _compat
from optuna_de.cnn.architecture.genomes import Genome
from optuna_de.cnn.architecture.space import CNNSpace
from optuna_de.cnn.data.augmentation import normaliser
from optuna_de.cnn.data.dataset import ImageData
from optuna_de.cnn.data.store.mapped_images import blocks
from optuna_de.cnn.modules.inheritance import Parent, inherit
from optuna_de.cnn.study.artifacts import read, upload_weights
from optuna_de.cnn.study.trials import network_of
from optuna_de.cnn.training.optimizer import initialise
from optuna_de.sampler.plan import stored_plan

_IMAGES = 128  # that set the norms of new units
_RUNGS = 10  # more than any ladder has


@dataclass(frozen=True)
class Heritage:
    """What a training starts from.

    Args:
        parent: Network and weights; None for a start from scratch.
        text: Where they are from, or why there are none.
        is_lost: Whether there should be weights, but they are missing.
    """

    parent: Parent | None
    text: str
    is_lost: bool = False


def heritage_of(trial: optuna.Trial, genome: Genome, folder: Path, rung: int) -> Heritage:
    """Return what a trial starts from at a rung: its own weights below, else its parent's.

    The parent is the ``best`` of its plan.

    Args:
        trial: A running trial.
        genome: Its network.
        folder: Folder of artifacts.
        rung: Rung of the ladder from 1; 0 without one.
    """
    own = find_weights(_compat.frozen(trial), folder, rung - 1)
    if own is not None:
        return Heritage(Parent(genome, own), "its rung below")
    plan = stored_plan(_compat.frozen(trial))
    if plan is None or not plan.parents:
        return Heritage(None, "from scratch: no parent")
    number = plan.parents[0]
    known = {t.number: t for t in trial.study.get_trials(deepcopy=False)}
    state = find_weights(known[number], folder) if number in known else None
    if state is None:
        lost = f"from scratch: the weights of trial {number} are missing"
        return Heritage(None, lost, is_lost=True)
    return Heritage(Parent(network_of(known[number]), state), f"trial {number}")


def start_from(
    model: nn.Module,
    genome: Genome,
    heritage: Heritage,
    space: CNNSpace,
    data: ImageData,
    seed: int,
    *,
    he: bool,
) -> str:
    """Put inherited weights into a network, in place, and say which; scratch is left as drawn.

    Args:
        model: The network, on the CPU.
        genome: Its units.
        heritage: What it starts from.
        space: What it is for.
        data: Images of the training split set the norms of new units.
        seed: Of weights that are drawn.
        he: Whether the recipe draws them by He et al. (2015), which comes first then.
    """
    if heritage.parent is None:
        return heritage.text
    if he:
        initialise(model, seed)
    images = next(iter(blocks(data.train.images, _IMAGES))).cpu()
    side = (images.shape[2], images.shape[3])
    ready = normaliser(data.mean, data.std, side, torch.device("cpu"))(images)
    shape, classes = space.image_shape, space.classes
    try:
        taken = inherit(model, genome, heritage.parent, shape, classes, ready)
    except (KeyError, IndexError, RuntimeError) as error:  # weights of another network
        raise ValueError(f"The weights of {heritage.text} are not of its network.") from error
    return f"{heritage.text}, {taken.text}"


def store_weights(trial: optuna.Trial, model: nn.Module, folder: Path, rung: int) -> None:
    """Store the weights of a trained network beside its trial's other artifacts."""
    buffer = io.BytesIO()
    torch.save({name: _small(value) for name, value in model.state_dict().items()}, buffer)
    upload_weights(trial, FileSystemArtifactStore(str(folder)), _name(rung), buffer.getvalue())


def find_weights(
    trial: FrozenTrial, folder: Path, rung: int | None = None
) -> dict[str, Tensor] | None:
    """Return the weights of a trial: at a rung, or at its last; None if they are missing."""
    names = [_name(n) for n in range(_RUNGS)] if rung is None else [_name(rung)]
    files = read(trial, FileSystemArtifactStore(str(folder)), names)
    if not files:
        return None
    try:
        state: dict[str, Tensor] = torch.load(
            io.BytesIO(files[max(files)]), map_location="cpu", weights_only=True
        )
    except (pickle.UnpicklingError, RuntimeError, EOFError):
        return None
    return state


def _name(rung: int) -> str:
    return f"weights-{rung}.pt"


def _small(tensor: Tensor) -> Tensor:
    held = tensor.detach().cpu()
    return held.to(torch.bfloat16) if held.ndim > 1 else held
