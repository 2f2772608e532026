"""The fit of a time budget: measure, plan, search, finals, ship. All state is in the storage.

Whatever ends it, the same call goes on: the plan stands in the study, spent compute in its trials,
a finished final in the study of finals, and a shipped model in its folder.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, fields, replace
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from optuna_de import _compat
from optuna_de._attributes import read_count
from optuna_de._files import make_folder
from optuna_de._text import duration
from optuna_de.cnn.data.loading import DataChoice
from optuna_de.cnn.evaluation.training_job import check_mirrored
from optuna_de.cnn.fitting.finals import (
    EPOCHS,
    PICK,
    FinalSearch,
    best_of_bands,
    mean_pass_costs,
    pick_finals,
    queue_finals,
)
from optuna_de.cnn.fitting.known_networks import known_networks
from optuna_de.cnn.fitting.options import Fit
from optuna_de.cnn.fitting.page import write_page
from optuna_de.cnn.fitting.plan import (
    PLAN_KEY,
    SCORING,
    SEARCHED,
    FitPlan,
    extended,
    make_plan,
    plan_finals,
    read_plan,
)
from optuna_de.cnn.fitting.shipping import Shipped, ship
from optuna_de.cnn.fitting.step_cost import measure_pass
from optuna_de.cnn.fitting.teachers import taught_costs
from optuna_de.cnn.modules.tta import check_tta
from optuna_de.cnn.recipes import fit_recipe, get_recipe
from optuna_de.cnn.search.search import Search
from optuna_de.cnn.search.worker_pool import default_workers, work_together
from optuna_de.cnn.search.worker_process import work
from optuna_de.cnn.study.trials import spent_seconds
from optuna_de.storage.lock import locked

_logger = logging.getLogger(__name__)
_FEW_HELD, _MOST_HELD = 1000, 0.2
_WHOLE_SET = 0.25  # of the finals' compute: if less is left, further picks fill it
_MOST_PICKS = 4  # of a band
_ENDLESS = 1_000_000  # networks: the compute ends a search
Watch = Callable[[optuna.Study, int | None], AbstractContextManager[Callable[[], None]]]
Tell = Callable[[Search, FitPlan, int], None]
_Order = tuple[Sequence[FrozenTrial], int, Sequence[int]]  # picks, epochs, seeds


def _silent(study: optuna.Study, total: int | None) -> AbstractContextManager[Callable[[], None]]:
    return nullcontext(lambda: None)


@dataclass(frozen=True, slots=True)
class Fitted:
    """Outcome of a fit.

    Args:
        models: The shipped models, small to large.
        study_name: The search; its finals are in ``<study_name>-final``.
        headline: What was done, in a sentence.
        code: 0, or 128 plus the signal that ended it.
    """

    models: tuple[Shipped, ...]
    study_name: str
    headline: str
    code: int = 0


def fit(images: str | Path | None = None, **options: Any) -> Fitted:
    """Fit networks to images in a time budget: search, train the best of each size, ship them.

    The same call goes on with what an earlier one left. One process works, unless ``workers``
    says otherwise; a script with several needs ``if __name__ == "__main__"``.

    Args:
        images: A folder of images, one folder a class, or the name of a set; None for digits.
        options: Fields of :class:`Fit`, and of :class:`optuna_de.cnn.data.loading.DataChoice`.

    Raises:
        ValueError: If an option does not exist, or something is wrong with what is given.

    Example:
        >>> done = fit("photos", hours=3, between=(20_000, 1_000_000), out="models")
        >>> [(model.parameters, model.test_error) for model in done.models]
    """
    of_data = {f.name for f in fields(DataChoice)} - {"data", "validation_fraction"}
    of_fit = {f.name for f in fields(Fit)}
    for name in options:
        if name not in of_data | of_fit:
            known = ", ".join(sorted(of_data | of_fit))
            raise ValueError(f"fit has no option {name!r}; it has {known}.")
    options = {"workers": 1, **options}
    for name in ("out", "artifacts"):
        options |= {name: Path(options[name])} if name in options else {}
    chosen = {name: options.pop(name) for name in of_data & options.keys()}
    choice = DataChoice(data=None if images is None else str(images), **chosen)
    return run_fit(choice, Fit(**options))


def run_fit(
    choice: DataChoice, settings: Fit, *, tell: Tell = lambda *_: None, watch: Watch = _silent
) -> Fitted:
    """Run a fit: search, train the best of each size, ship them.

    Args:
        choice: The images.
        settings: Time, region, folders.
        tell: Called once with the search, the plan and the number of workers.
        watch: Gives a context for each phase, from its study and total, whose function is called
            about twice a second.

    Raises:
        ValueError: If something is wrong with the images, settings or storage.
    """
    check_tta(settings.tta)
    run = _Run(choice, settings, watch)
    data = choice.load()
    check_mirrored(settings.tta, fit_recipe(get_recipe("final"), data), data.name)
    make_folder(settings.out)
    search, plan, study = run.begin()
    tell(search, plan, run.workers)
    code = run.search(search, study)
    if code:
        return Fitted((), search.name, "", code)
    finals = run.final_search(search)
    objective = finals.objective()
    final_study = finals.study(objective)
    code = run.finals(finals, plan, study, final_study)
    best = best_of_bands(final_study, plan.region)
    load_test = cache(choice.load_test)
    shipped = (
        ship(objective, final_study, trial, load_test, settings.out) for trial in best if not code
    )
    models = tuple(model for model in shipped if model is not None)
    headline = _headline(study, final_study)
    if models:
        _write_page(settings.out, search.name, headline, models)
    return Fitted(models, search.name, headline, code)


@dataclass(frozen=True)
class _Run:
    choice: DataChoice
    settings: Fit
    watch: Watch

    @cached_property
    def workers(self) -> int:
        return self.settings.workers or default_workers(self.settings.device)

    def begin(self) -> tuple[Search, FitPlan, optuna.Study]:
        """Return search, plan and study: those that are recorded, or new ones.

        Of several processes that begin together, one records its plan; the others take it.
        """
        bare = self._bare()
        plan = self._recorded(bare)
        if plan is None:
            plan = self._record(bare, self._measured(bare))
        elif plan.known and not self.settings.known:
            _logger.warning("The fit began with known networks; --no-known changes nothing now.")
        search = self._planned(bare, plan)
        study = search.study(search.objective())
        if self.settings.more_hours is not None:
            plan = self._with_more(search, study)
        return replace(search, compute=plan.search_compute), plan, study

    def _recorded(self, bare: Search) -> FitPlan | None:
        """Return the plan of the study; None if there is no study yet.

        Raises:
            ValueError: If the study has no plan.
        """
        if bare.existing() is None:
            return None
        with self._planning(bare):  # who makes the study records its plan within
            known = bare.existing()
        plan = None if known is None else read_plan(known)
        if known is not None and plan is None:
            raise ValueError(
                f"Study {bare.name!r} was not begun by optuna-de fit; choose another --study-name."
            )
        return plan

    def _record(self, bare: Search, plan: FitPlan) -> FitPlan:
        """Make the study with a plan, and return the plan; if another was first, return its."""
        search = self._planned(bare, plan)
        objective = search.objective()
        with self._planning(bare) as still_held:
            if bare.existing() is None and still_held():
                search.study(objective).set_user_attr(PLAN_KEY, plan.json())
                return plan
        return self._recorded(bare) or self._record(bare, plan)

    @staticmethod
    def _planning(search: Search) -> AbstractContextManager[Callable[[], bool]]:
        """Hold the lock of a study's plan."""
        return locked(search.open(), f"{search.name} plan")

    def _bare(self) -> Search:
        chosen = {f.name: getattr(self.choice, f.name) for f in fields(DataChoice)}
        own = (
            *("between", "max_error", "max_macs", "storage", "seed", "device", "artifacts"),
            *("inheritance", "stem"),
        )
        name = f"{Path(self.choice.source).resolve().name.lower()}-fit"
        chosen["validation_fraction"] = self._held()
        return Search(
            **chosen,
            **{key: getattr(self.settings, key) for key in own},
            study_name=self.settings.study_name or name,
            trials=_ENDLESS,
        )

    def _held(self) -> float:
        """Return the share of validation images: 1,000 of them, within a tenth and a fifth."""
        data = self.choice.load()
        total = len(data.train.labels) + len(data.validation.labels)
        return max(0.1, min(_MOST_HELD, round(_FEW_HELD / total, 3)))

    def _measured(self, bare: Search) -> FitPlan:
        seconds = self.settings.seconds(is_default_data=self.choice.data is None)
        region, images = bare.region, len(bare.image_data.train.labels)
        assert region is not None  # the preset modern has one
        cost = measure_pass(bare.objective(), bare.seed)
        return self._with_known(bare, make_plan(seconds * self.workers, region, images, cost))

    def _with_known(self, bare: Search, plan: FitPlan) -> FitPlan:
        """Add known networks to a plan: at most a quarter of the first ones."""
        most = min(plan.trials, bare.population) // 4 if self.settings.known else 0
        return replace(plan, known=known_networks(bare.space, plan.region, most))

    def _planned(self, bare: Search, plan: FitPlan) -> Search:
        region = plan.region
        return replace(
            bare,
            ladder=plan.ladder,
            epochs=plan.ladder[-1].epochs,
            between=(region.min_parameters, region.max_parameters),
            max_error=region.max_error,
            known=plan.known,
        )

    def _with_more(self, search: Search, study: optuna.Study) -> FitPlan:
        """Add time to a plan that is done; else the command before was interrupted."""
        more = 3600 * (self.settings.more_hours or 0.0) * self.workers
        with self._planning(search) as still_held:
            plan = read_plan(study)
            assert plan is not None  # `begin` has read or made it
            done = self.final_search(search).existing()
            if spent_seconds(study) < plan.search_compute or done is None or _unfinished(done):
                _logger.warning("The fit is not finished yet, so --more-hours adds nothing now.")
                return plan
            plan = extended(plan, more)
            if still_held():
                study.set_user_attr(PLAN_KEY, plan.json())
                return plan
        return self._with_more(search, study)

    def final_search(self, search: Search) -> FinalSearch:
        """Return the finals of a search."""
        same = {f.name: getattr(search, f.name) for f in fields(Search)}
        return FinalSearch(**same, tta=self.settings.tta, distill=self.settings.distill)

    def search(self, search: Search, study: optuna.Study) -> int:
        """Search until the compute is spent; return the exit code."""
        if spent_seconds(study) >= (search.compute or 0.0):
            return 0
        return self._work(search, study, None)

    def finals(
        self, finals: FinalSearch, plan: FitPlan, study: optuna.Study, final_study: optuna.Study
    ) -> int:
        """Queue finals and train them, until time allows no more; return the exit code."""
        while True:
            self._queue_alone(finals, plan, study, final_study)
            total = len([t for t in _finals_of(final_study) if t.state != TrialState.FAIL])
            if not total:
                raise ValueError("The search found no network in its region; give it more time.")
            if not _unfinished(final_study):
                return 0
            code = self._work(replace(finals, trials=total, compute=None), final_study, total)
            if code:
                return code

    def _queue_alone(
        self, finals: FinalSearch, plan: FitPlan, study: optuna.Study, final_study: optuna.Study
    ) -> None:
        """Queue what is next, unless another process does or finals are under way."""
        with locked(_compat.study_key(final_study)[0], final_study.study_name) as still_held:
            if _unfinished(final_study):
                return
            orders = list(self._orders(finals, plan, study, final_study))
            if still_held():
                for order in orders:
                    queue_finals(final_study, finals.space, *order)

    def _orders(
        self, finals: FinalSearch, plan: FitPlan, study: optuna.Study, final_study: optuna.Study
    ) -> Iterator[_Order]:
        """Yield the finals that time allows: a whole set, or what early ends left time for."""
        left = plan.compute - spent_seconds(study) - spent_seconds(final_study)
        share = (1 - SEARCHED) * plan.compute
        held = _finals_of(final_study)
        best = pick_finals(study, plan.region, 1)
        if not best:
            return
        if held and left < _WHOLE_SET * share:
            yield from self._filling(finals, plan, study, held, left)
            return
        if not held:  # a first set is trained even where the search took all
            left = max(left, 0.1 * plan.compute)
        costs = _costs(finals, best, plan)
        wanted = plan_finals(left, plan.images, costs, plan.fewest_epochs)
        picks = pick_finals(study, plan.region, -(-wanted.networks // len(best)))
        if wanted.networks < len(best):
            cheapest = sorted(zip(costs, best, strict=True), key=lambda pair: pair[0])
            picks = [trial for _, trial in cheapest[: wanted.networks]]
        yield picks, wanted.epochs, range(finals.seed, finals.seed + wanted.seeds)

    def _filling(
        self,
        finals: FinalSearch,
        plan: FitPlan,
        study: optuna.Study,
        held: Sequence[FrozenTrial],
        left: float,
    ) -> Iterator[_Order]:
        """Yield the next picks that fit into what is left, trained as long as those before."""
        epochs = max(read_count(t.user_attrs.get(EPOCHS)) or 1 for t in held)
        known = {t.user_attrs[PICK] for t in held}
        picks = [t for t in pick_finals(study, plan.region, _MOST_PICKS) if t.number not in known]
        costs = _costs(finals, picks, plan)
        for pick, cost in sorted(zip(picks, costs, strict=True), key=lambda p: p[0].values[0]):
            needed = cost * epochs * plan.images * SCORING
            if needed <= left:
                yield [pick], epochs, [finals.seed]
                left -= needed

    def _work(self, search: Search, study: optuna.Study, total: int | None) -> int:
        count = min(self.workers, search.total)
        with self.watch(study, total) as refresh:
            if count == 1:
                return work(search, study, callback=lambda *_: refresh())
            return work_together(search, count, watch=refresh)


def _costs(finals: FinalSearch, picks: Sequence[FrozenTrial], plan: FitPlan) -> list[float]:
    costs = mean_pass_costs(picks, plan.pass_seconds)
    return taught_costs(costs) if finals.distill else costs


def _finals_of(study: optuna.Study) -> list[FrozenTrial]:
    return [t for t in study.get_trials(deepcopy=False) if PICK in t.user_attrs]


def _unfinished(study: optuna.Study) -> bool:
    return any(not t.state.is_finished() for t in _finals_of(study))


def _headline(study: optuna.Study, finals: optuna.Study) -> str:
    tried = sum(t.state in (TrialState.COMPLETE, TrialState.PRUNED) for t in study.trials)
    trained = sum(t.state == TrialState.COMPLETE for t in finals.trials)
    networks = "network was" if tried == 1 else "networks were"
    return (
        f"{tried} {networks} tried in {duration(spent_seconds(study))} of compute, {trained} "
        f"trained fully in {duration(spent_seconds(finals))}. Each model is the best of its size "
        "on the validation images."
    )


def _write_page(out: Path, name: str, headline: str, models: tuple[Shipped, ...]) -> None:
    """Write the page; whatever goes wrong there, the models stay."""
    try:
        write_page(out, name, headline, models)
    except Exception as error:  # a picture must not end a command
        _logger.warning("The page of models cannot be written: %s", error)
