"""Searches at equal cost on CIFAR-10: ours, the seed's rules, NSGA-II and random search.

Run ``python -m benchmarks.cifar10.equal_cost search --folder FOLDER --save``, a folder with
``train/<class>/`` and ``test/<class>/``, then ``... final --folder FOLDER --save``. All arms of a
seed search the same space under the same caps, begin with the same 20 networks, see the same
split, and train equal networks alike for equally many epochs; all train equally many networks,
and one over a cap counts as none. ``ours`` is ``optuna-de search`` without early stopping;
``seed-exact`` is the seed's algorithm on our alphabet; ``random`` draws from the initial
distribution. Each study is a file in ``--studies``, so that a stopped run goes on.

``final`` takes from every search the network of the least validation error under each size,
trains it on more images and reads the test split once. The hypervolume is that of log10 of
error and parameters, scaled so that 0.2 and 1,000 become 0, and 0.9 and the cap 1, reference
(1, 1); a network of fewer than 1,000 parameters counts beyond 0.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import torch
from optuna.samplers import BaseSampler, NSGAIISampler
from optuna.trial import FrozenTrial, TrialState

from benchmarks.cifar10.equal_cost_tables import POINTS, tables
from benchmarks.common.caps import NEVER, Caps
from benchmarks.common.peers import PEERS, quiet
from benchmarks.common.results import Row, header, results_of, versions, write
from benchmarks.halving.replay import hypervolume
from optuna_de import DESampler, open_storage
from optuna_de._allocator import keep_memory
from optuna_de.cnn.architecture.genomes import parse
from optuna_de.cnn.architecture.space import CNNSpace
from optuna_de.cnn.data.dataset import ImageData
from optuna_de.cnn.data.loading import load_data, load_test
from optuna_de.cnn.modules.build import build
from optuna_de.cnn.recipes import get_recipe
from optuna_de.cnn.search.objective import CNNObjective
from optuna_de.cnn.training.evaluate import evaluate
from optuna_de.cnn.training.trainer import train

RESULTS = results_of(__file__)

ARMS = ("ours", "seed-exact", "nsga2", "random")
EPOCHS, IMAGES, HELD = 4, 3000, 1 / 3
FINAL_EPOCHS, FINAL_IMAGES = 10, 10_000
LEAST, CAPS = 1_000, Caps(300_000, 4_000_000)  # parameters; parameters and per image
SIZES = (10_000, 50_000, 300_000)
STARTUP = 20


@dataclass(frozen=True)
class Job:
    """One search: its arm, seed, networks to train, images' folder and studies' folder."""

    arm: str
    seed: int
    budget: int
    folder: Path
    studies: Path

    @property
    def name(self) -> str:
        """Name of the study and its file."""
        return f"equal-cost-{self.arm}-{self.seed}"

    def study(self, sampler: BaseSampler | None = None) -> optuna.Study:
        """Open or create the study."""
        return optuna.create_study(
            directions=["minimize"] * 2,
            sampler=sampler,
            storage=open_storage(f"sqlite:///{self.studies}/{self.name}.db"),
            study_name=self.name,
            load_if_exists=True,
        )

    def data(self, images: int) -> ImageData:
        """Return training and validation images, split by the seed."""
        return load_data(
            self.folder, validation_fraction=HELD, split_seed=self.seed, subset=images
        )


def sampler(arm: str, space: CNNSpace, seed: int) -> BaseSampler:
    """Return an arm's sampler."""
    space = CAPS.limit(space)
    make: dict[str, Callable[[], BaseSampler]] = {
        "ours": lambda: DESampler(space=space, screening=True, seed=seed),
        "seed-exact": lambda: DESampler.seed_exact(space, seed=seed),
        "nsga2": lambda: NSGAIISampler(population_size=STARTUP, seed=seed),
        "tpe": lambda: PEERS["tpe"](seed),
        "auto": lambda: PEERS["auto"](seed),
        "random": lambda: DESampler(
            space=space, n_startup_trials=NEVER, screening=False, seed=seed
        ),
    }
    return make[arm]()


def done(trials: Iterable[FrozenTrial]) -> list[FrozenTrial]:
    """Return the trials whose network was trained to the end."""
    return [t for t in trials if t.state == TrialState.COMPLETE]


def volume(losses: Sequence[Sequence[float]]) -> float:
    """Return the hypervolume of errors and parameters (n, 2), see above."""
    low, high = np.log10([[0.2, LEAST], [0.9, CAPS.parameters]])
    scaled = (np.log10(np.array(losses, dtype=float)) - low) / (high - low)
    return round(float(hypervolume(scaled, np.ones(2))), 5)


def search(job: Job) -> Row:
    """Search until ``budget`` networks were trained; return its curve and its picks."""
    quiet()
    keep_memory()
    torch.set_num_threads(1)
    data = job.data(IMAGES)
    space = CNNSpace(data.image_shape, len(data.classes))
    study = job.study(sampler(job.arm, space, job.seed))
    if not study.trials:
        for params in CAPS.first(space, job.seed, STARTUP):
            study.enqueue_trial(params)
    objective = CNNObjective(
        data,
        CAPS.limit(space),
        get_recipe("fast"),
        epochs=EPOCHS,
        seed=job.seed,
    )
    while len(done(study.get_trials(deepcopy=False))) < job.budget:
        study.optimize(objective, n_trials=1)
    return about(job, done(study.trials))


def about(job: Job, trials: Sequence[FrozenTrial]) -> Row:
    losses = [t.values for t in trials]
    points = [n for n in POINTS if n <= job.budget]
    seconds = sum(float(t.user_attrs["seconds"]) for t in trials)
    print(job.name, volume(losses), round(seconds), flush=True)
    return {
        "arm": job.arm,
        "seed": job.seed,
        "volume": {str(n): volume(losses[:n]) for n in points},
        "picks": {str(size): pick(trials, size) for size in SIZES},
        "training seconds": round(seconds, 1),
    }


def pick(trials: Iterable[FrozenTrial], size: int) -> Row | None:
    """Return the network of least validation error with at most ``size`` parameters."""
    allowed = [t for t in trials if t.values[1] <= size]
    if not allowed:
        return None
    best = min(allowed, key=lambda t: (t.values[0], t.values[1]))
    text = best.user_attrs["architecture"]
    return {"architecture": text, "error": best.values[0], "parameters": int(best.values[1])}


def final(job: Job, size: int, pick: Row) -> Row:
    """Train a pick on more images; the only place where the test split is read."""
    keep_memory()
    torch.set_num_threads(1)
    data = job.data(FINAL_IMAGES)
    torch.manual_seed(job.seed)
    module = build(parse(pick["architecture"]), data.image_shape, len(data.classes))
    train(
        module,
        data,
        get_recipe("final"),
        epochs=FINAL_EPOCHS,
        batch_size=64,
        seed=job.seed,
        score_epochs=(),
    )
    test = load_test(job.folder)
    error, _ = evaluate(module, test, data.mean, data.std, device="cpu")
    print(job.name, size, error, flush=True)
    return {"arm": job.arm, "seed": job.seed, "size": size, **pick, "test error": error}


def parallel(function: Callable[..., Row], jobs: Iterable[tuple[Any, ...]]) -> list[Row]:
    """Call a function for every job, two processes at once."""
    with get_context("spawn").Pool(2) as pool:
        return pool.starmap(function, list(jobs), chunksize=1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["search", "final"])
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--studies", type=Path, default=Path("data/equal_cost"))
    parser.add_argument("--arms", default=",".join(ARMS), help="comma separated")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--budget", type=int, default=60, help="networks of a search")
    parser.add_argument("--save", action="store_true", help="write benchmarks/results")
    args = parser.parse_args()
    args.studies.mkdir(parents=True, exist_ok=True)
    jobs = [
        Job(arm, seed, args.budget, args.folder, args.studies)
        for seed in range(args.seeds)
        for arm in args.arms.split(",")
    ]
    results = parallel(search, [(job,) for job in jobs])
    if args.what == "final":
        picks = [
            (job, int(size), pick)
            for job, row in zip(jobs, results, strict=True)
            for size, pick in row["picks"].items()
            if pick is not None
        ]
        results = parallel(final, picks)
    head = header(
        args.seeds, budget=args.budget, **{"versions": {**versions(), "torch": torch.__version__}}
    )
    print(tables(head, results))
    if args.save:
        print(write(RESULTS / f"equal_cost-{args.what}.jsonl", head, results))


if __name__ == "__main__":
    main()
