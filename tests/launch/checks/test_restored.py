from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import msgspec
import pytest

from resumable.launch.checks.restored import restored
from resumable.launch.evidence.fingerprints import Fingerprint, total
from resumable.launch.evidence.history import History, Process
from resumable.launch.evidence.rank_records import AnyRecord, Backward, Batch, Figure, Load, Save, State, Step
from resumable.launch.explain.check_result import CheckResult
from resumable.launch.explain.codes.state_problems import RateDiffers
from resumable.launch.explain.outcome import Outcome
from resumable.launch.plan.fault_grammar import parse_fault
from resumable.launch.plan.fault_model import resolve
from tests.launch import histories
from tests.launch.changes import Change, changed, fields, same, together, without
from tests.launch.histories import Job
from tests.launch.lines import INITIAL
from tests.launch.states import NAMES, components_of, one, shard, with_component, with_generators, with_states

JOB = Job(num_samples=32)


def run_with(*changes: tuple[Change, int, int | None], job: Job = JOB) -> History:
    """Rank 1 is killed after five steps, all go on after four; then these lines are changed: how, incarnation, rank."""
    history = with_states(histories.one_kill(job).faulted.history)
    for change, incarnation, rank in changes:
        history = changed(history, change, incarnation=incarnation, rank=rank)
    return history


def judged(history: History, *, job: Job = JOB, **references: History) -> CheckResult:
    return restored(histories.of_histories(history, job, [], **references))


def alone(history: History) -> CheckResult:
    """Without any reference."""
    evidence = histories.of_histories(history, JOB, [])
    return restored(msgspec.structs.replace(evidence, references=()))


def at_start(
    component: str, change: Callable[[dict[str, Fingerprint]], dict[str, Fingerprint]], *, has_effect: bool = True
) -> Change:
    """A component is different when the process starts, and so is what comes of it."""

    def spoil(line: AnyRecord) -> AnyRecord:
        if isinstance(line, Step) and has_effect:
            effect = {name: form + one("effect", num_elements=0) for name, form in line.components.items()}
            return msgspec.structs.replace(line, components=effect)
        if isinstance(line, State) and line.moment == "start":
            return with_component(line, component, change(line.components.get(component, {})))
        return line

    return spoil


def nothing(_parts: dict[str, Fingerprint]) -> dict[str, Fingerprint]:
    return {}


def first_zeroed(parts: dict[str, Fingerprint]) -> dict[str, Fingerprint]:
    return {name: one("zeros") if number == 0 else own for number, (name, own) in enumerate(parts.items())}


def first_left_out(parts: dict[str, Fingerprint]) -> dict[str, Fingerprint]:
    return dict(list(parts.items())[1:])


def test_what_was_saved_and_is_there_again_is_valid() -> None:
    """Component by component, with references and without."""
    expected = (Outcome.VALID, "1 restart: parameters, optimizer, buffers and scaler as saved after 4 steps")
    for result in (judged(run_with()), alone(run_with())):
        assert expected == (result.outcome, result.summary)


@pytest.mark.parametrize("rank", [0, 1])
@pytest.mark.parametrize(
    ("component", "change", "sentence", "advice"),
    [
        ("parameters", first_zeroed, "with parameters different from what this run had", "save all of the model's"),
        ("optimizer", first_zeroed, "with optimizer state different from what this run had", "in the same order"),
        (
            "optimizer",
            nothing,
            "without the optimizer state that this run had",
            "save the optimizer's `state_dict()`",
        ),
        (
            "optimizer",
            first_left_out,
            "without the optimizer state that this run had",
            "save the optimizer's `state_dict()`",
        ),
        ("buffers", first_zeroed, "with buffers different from what this run had", "running statistics"),
    ],
)
def test_what_is_lost_is_named(component, change, sentence, advice, rank) -> None:
    """On the rank that saved for all, and on the others."""
    result = alone(run_with((at_start(component, change), 1, rank)))
    assert result.outcome == Outcome.INVALID
    [violation] = result.violations
    assert f"rank {rank} in incarnation 1 went on from step 4 {sentence}" in violation.sentence
    assert (violation.rank, violation.step) == (rank, 4)
    assert advice in violation.advice


own_statistics = fields(
    Step,
    components=lambda line: {**line.components, "buffers": line.components["buffers"] + one("own", num_elements=0)},
)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        pytest.param(own_statistics, Outcome.VALID, id="its step leaves its own again"),
        pytest.param(same, Outcome.INVALID, id="its step leaves different ones, with the same loss"),
        pytest.param(fields(Backward, loss=9.0), Outcome.VALID, id="its loss is different before"),
    ],
)
def test_buffers_of_the_rank_that_saved_are_a_loss_where_they_alone_make_a_difference(change, expected) -> None:
    """Another rank reads them in place of its own: they may be sent around before each forward pass."""
    assert alone(run_with((own_statistics, 0, 1), (change, 1, 1))).outcome == expected


def test_what_all_ranks_have_lost_is_told_of_each() -> None:
    """With the save that it should have come from, and as many names as one reads."""
    result = alone(run_with((at_start("parameters", nothing), 1, None)))
    problems = [violation.problem for violation in result.violations]
    assert [(one.rank, one.save_step, one.path) for one in problems] == [(r, 4, "ckpt/step-4.pt") for r in (0, 1)]
    assert (problems[0].names, problems[0].num_names, problems[0].step) == (("layer.bias", "layer.weight"), 2, 4)


def test_what_a_fault_did_to_the_file_is_no_matter_of_what_is_saved() -> None:
    """It was saved whole, and is not what was read."""
    planned = resolve([parse_fault("corrupt@step=4:rank=1")], world_size=2, seed=0)[0]
    history = with_states(histories.hit(JOB, planned, path=histories.path_of(4)))
    spoilt = changed(history, at_start("optimizer", first_zeroed), incarnation=1)
    assert f"{histories.path_of(4)} was damaged (corrupt)" in alone(spoilt).violations[0].explanation


def test_a_lost_scale_is_named() -> None:
    """Of the rank that saved: what the others had is not in their steps."""
    result = alone(run_with((at_start("scaler", first_zeroed), 1, 0)))
    assert "gradient scaler state different from" in result.summary


def test_random_state_accuses_nobody() -> None:
    """A loader that is made draws from it, and rightly."""
    assert alone(run_with((at_start("random", first_zeroed), 1, None))).outcome == Outcome.VALID


without_name = fields(Load | Save, path="")


def test_paths_do_not_matter() -> None:
    """A buffer in memory has none: equal content tells which save was read."""
    history = run_with((without_name, 0, None), (without_name, 1, None))
    spoilt = changed(history, at_start("optimizer", nothing), incarnation=1, rank=1)
    assert [alone(history).outcome, alone(spoilt).outcome] == [Outcome.VALID, Outcome.INVALID]


unseen = without(Load)
still = fields(Step, before=lambda line: line.before and "still", after="still")


def test_where_nothing_was_seen_to_be_read_the_parameters_tell_the_step() -> None:
    """A checkpoint of a kind that nobody watches: what goes with its parameters must have come back too."""
    history = run_with((unseen, 1, None))
    spoilt = changed(history, at_start("optimizer", nothing), incarnation=1, rank=1)
    assert [alone(history).outcome, alone(spoilt).outcome] == [Outcome.VALID, Outcome.INVALID]


not_recorded = without(State)


def test_evidence_of_a_release_that_did_not_record_it_is_not_judged() -> None:
    """Nothing is known."""
    result = judged(run_with((not_recorded, 0, None), (not_recorded, 1, None)))
    assert (result.outcome, result.summary) == (
        Outcome.NOT_APPLICABLE,
        "what processes start from was not recorded",
    )


noisy = fields(Backward, loss=-1.0)


def test_where_numbers_do_not_repeat_nothing_else_shows_it() -> None:
    """Not to know what a process started from is then not to know whether it is right."""
    second = changed(histories.reference(JOB, 2), noisy)
    history = run_with((not_recorded, 0, None), (not_recorded, 1, None))
    assert judged(history, second=second).outcome == Outcome.UNKNOWN


def test_where_numbers_do_not_repeat_what_is_known_is_valid_all_the_same() -> None:
    """It needs no reference."""
    second = changed(histories.reference(JOB, 2), noisy)
    assert judged(run_with(), second=second).outcome == Outcome.VALID


def test_who_begins_from_scratch_has_nothing_to_be_restored() -> None:
    """It was killed before anything was saved; that numbers do not repeat is no doubt then."""
    groups = [histories.killed(JOB, 1), histories.resumed(JOB, 0)]
    history = with_states(histories.evidence(JOB, groups, []).faulted.history)
    result = judged(history, second=changed(histories.reference(JOB, 2), noisy))
    assert (result.outcome, result.summary) == (Outcome.NOT_APPLICABLE, "no rank went on from a checkpoint")


def test_of_how_many_processes_nothing_is_known_is_said() -> None:
    """What a rank had that saved nothing follows from its steps."""
    result = alone(run_with((fields(Step, components={}), 0, 1)))
    expected = (
        "1 restart: parameters, optimizer, buffers and scaler as saved after 4 steps; of 1 process nothing is known"
    )
    assert (Outcome.VALID, expected) == (result.outcome, result.summary)


unlike_any_save = together(fields(Load, fingerprints={}), fields(Step, before=None))
"""Neither what is read nor the parameters tell which save it was; the path still says where the process goes on."""


@pytest.mark.parametrize("unrecorded", [same, not_recorded])
def test_that_no_save_was_seen_to_be_read_is_said(unrecorded: Change) -> None:
    """There is nothing to set beside what the processes started from, as far as that was recorded."""
    result = judged(run_with((unlike_any_save, 1, None), (unrecorded, 1, 1)))
    assert (result.outcome, result.summary) == (
        Outcome.NOT_APPLICABLE,
        "no save of this run was seen to be loaded",
    )


def with_new_optimizer(step: int) -> Change:
    return fields(Step, when=lambda line: line.step == step, has_new_optimizer=True)


@pytest.mark.parametrize(("step", "expected"), [(4, Outcome.VALID), (3, Outcome.INVALID)])
def test_an_optimizer_that_is_new_at_this_step_in_any_run_is_meant_to_be(step: int, expected: Outcome) -> None:
    """A warm restart, or a second stage that takes the first one's weights only."""
    first = changed(histories.reference(JOB, 1), with_new_optimizer(step), incarnation=0)
    history = run_with((at_start("optimizer", nothing), 1, None))
    assert judged(history, first=first).outcome == expected


def test_what_makes_no_difference_in_the_next_step_is_no_loss() -> None:
    """Where each number repeats: this process does to the last bit what the earlier one did, which lost nothing."""
    history = run_with((at_start("optimizer", first_zeroed, has_effect=False), 1, None))
    assert judged(history, first=with_states(histories.reference(JOB, 1))).outcome == Outcome.VALID


def hidden_from_quick_form(line: AnyRecord) -> AnyRecord | None:
    spoilt = at_start("optimizer", first_zeroed, has_effect=False)(line)
    return (
        msgspec.structs.replace(spoilt, quick=line.quick)
        if isinstance(spoilt, State) and isinstance(line, State)
        else line
    )


def test_what_the_quick_form_does_not_see_is_lost_all_the_same() -> None:
    """A row of a large table: that the next step looks the same shows nothing."""
    history = run_with((hidden_from_quick_form, 1, 0))
    assert judged(history, first=with_states(histories.reference(JOB, 1))).outcome == Outcome.INVALID


def averaged(line: AnyRecord) -> AnyRecord:
    if isinstance(line, State) and line.moment == "save":
        return with_component(line, "parameters", {"layer.weight": one("average")})
    return line


def test_a_job_that_saves_with_other_weights_in_its_model_goes_on_with_its_own() -> None:
    """It puts an average in for the time of the save: after the step it had what it goes on with."""
    assert alone(run_with((averaged, 0, None))).outcome == Outcome.VALID


def with_rate(rate: Callable[[int], float]) -> Change:
    return fields(Step, learning_rate=lambda line: rate(line.step))


@pytest.mark.parametrize(
    ("rate", "expected"),
    [(lambda step: 0.9**step, Outcome.VALID), (lambda step: 0.9 ** max(0, step - 4), Outcome.INVALID)],
)
def test_a_learning_rate_that_no_run_has_at_this_step_is_invalid(rate, expected) -> None:
    """However the job computes it."""
    references = {
        name: changed(histories.reference(JOB, number), with_rate(lambda step: 0.9**step))
        for number, name in enumerate(("first", "second"), start=1)
    }
    history = run_with((with_rate(lambda step: 0.9**step), 0, None), (with_rate(rate), 1, None))
    assert judged(history, **references).outcome == expected


def test_the_rates_of_a_process_in_the_wrong_place_accuse_nobody() -> None:
    """They may follow from it, as the batches do, which another check looks at."""
    references = {
        name: changed(histories.reference(JOB, number), with_rate(lambda step: 0.9**step))
        for number, name in enumerate(("first", "second"), start=1)
    }
    strayed = fields(Batch, indices=lambda line: line.indices[::-1])
    history = run_with((with_rate(lambda step: 0.9**step), 0, None), (with_rate(lambda step: 0.5), 1, None))
    assert judged(changed(history, strayed, incarnation=1), **references).outcome == Outcome.VALID


with_any_scheduler = fields(Step, scheduler_steps=7)
"""What it has counted does not tell."""
SETTINGS = {"momentum": [0.9], "betas/1": [0.99], "lr": [0.1, 0.01], "frozen": ["layer.bias"]}


def set_to(step: int | None = None, **settings: list[Figure]) -> Change:
    """From a step on, or else from the first one of each process; all others from there on."""

    def change(line: AnyRecord) -> AnyRecord | None:
        if not isinstance(line, Step):
            return line
        is_first = line.before is not None
        is_due = is_first if step is None else line.step == step
        there = line.settings.get("layer.bias", {})
        own = {**(SETTINGS if is_first else {}), **there, **(settings if is_due else {})}
        return msgspec.structs.replace(line, settings={"layer.bias": own} if own else {})

    return change


def is_saved(line: AnyRecord) -> bool:
    return isinstance(line, State) and line.moment == "save"


def saved_with(**settings: list[Figure]) -> Change:
    return fields(State, when=lambda line: line.moment == "save", settings={"layer.bias": {**SETTINGS, **settings}})


def judged_with(own: Change, *others: Change, earlier: Change | None = None, is_noisy: bool = True) -> CheckResult:
    """Of a process of which this becomes after its restart, where references and the process before have that."""
    references = [changed(with_states(histories.reference(JOB, number)), set_to()) for number in (1, 2)]
    runs = [changed(run, other) for run, other in zip(references, others or (set_to(), set_to()), strict=True)]
    if is_noisy:
        runs[1] = changed(runs[1], noisy)
    first = together(set_to(), saved_with(), earlier or set_to())
    return judged(run_with((first, 0, None), (own, 1, None)), first=runs[0], second=runs[1])


@pytest.mark.parametrize(
    ("own", "words"),
    [
        (set_to(momentum=[0.5]), "with momentum 0.5, not 0.9"),
        (set_to(lr=[0.1, 0.1]), "with learning rate of group 1 0.1, not 0.01"),
        (set_to(**{"betas/1": [0.9]}), "did step 4 with betas[1] 0.9, not 0.99"),
        (set_to(frozen=[]), "with layer.bias not frozen any more"),
        (set_to(frozen=["a", "layer.bias"]), "with a frozen"),
    ],
    ids=["momentum", "rate of a group", "of a pair", "thawed", "frozen"],
)
def test_a_setting_that_no_run_has_at_this_step_is_invalid(own: Change, words: str) -> None:
    """Numbers need not repeat: settings do."""
    result = judged_with(together(own, unlike_references))
    assert (result.outcome, [words in one.sentence for one in result.violations]) == (Outcome.INVALID, [True, True])


unlike_references = fields(Step, after=lambda line: f"own {line.after}")
"""The numbers of a job that do not repeat."""


@pytest.mark.parametrize(("rate", "expected"), [(0.1, Outcome.INVALID), (0.01, Outcome.VALID)])
def test_a_rate_that_the_run_had_when_it_saved_accuses_nobody(rate: float, expected: Outcome) -> None:
    """A plateau that it came to before the references did: nothing else had this rate."""

    def reduced(lr: float) -> Change:
        saved = fields(State, when=is_saved, settings={"layer.bias": {"lr": [lr]}})
        return together(with_rate(lambda _: 0.1), saved)

    first, second = (changed(with_states(histories.reference(JOB, number)), reduced(0.1)) for number in (1, 2))
    history = run_with((reduced(rate), 0, None), (with_rate(lambda _: 0.01), 1, None))
    assert judged(history, first=first, second=changed(second, noisy)).outcome == expected


@pytest.mark.parametrize(
    ("own", "others", "earlier"),
    [
        (set_to(momentum=[0.9 * (1 + 1e-9)]), [set_to(), set_to()], set_to()),
        (set_to(momentum=[0.5]), [set_to(), set_to(momentum=[0.5])], set_to()),
        (set_to(momentum=[0.7]), [set_to(), set_to(momentum=[0.5])], set_to()),
        (set_to(momentum=[0.5]), [set_to(), set_to()], saved_with(momentum=[0.5])),
        (set_to(frozen=["layer.bias", "layer.bias"]), [set_to(), set_to()], set_to()),
        (set_to(other=[0.5]), [set_to(), set_to()], set_to()),
        (fields(Step, settings={}), [set_to(), set_to()], set_to()),
    ],
    ids=[
        "rounded",
        "as in one",
        "never the same",
        "since before the save",
        "in any order",
        "of one alone",
        "not recorded",
    ],
)
def test_a_setting_that_the_job_may_have_accuses_nobody(own: Change, others: list[Change], earlier: Change) -> None:
    """What follows from losses is not the same in both references, or was different when this run saved it."""
    earlier = together(set_to(), saved_with(), earlier)
    saved = together(set_to(), saved_with())
    result = judged_with(
        together(own, unlike_references), *[together(saved, other) for other in others], earlier=earlier
    )
    assert result.outcome == Outcome.VALID


def with_momenta(momentum: Callable[[int], float]) -> Change:
    return together(*(set_to(step, momentum=[momentum(step)]) for step in range(1, 24)))


warmed_up = with_momenta(lambda step: min(step, 12) / 20)
never_warm = with_momenta(lambda step: min(step, 11) / 20)


@pytest.mark.parametrize(
    ("change", "due", "own", "expected"),
    [
        (same, set_to(12, momentum=[0.8]), same, Outcome.UNKNOWN),
        (with_any_scheduler, set_to(12, momentum=[0.8]), same, Outcome.INVALID),
        (same, warmed_up, never_warm, Outcome.INVALID),
    ],
    ids=["by losses or not", "by a scheduler", "with each step"],
)
def test_a_change_that_does_not_come_is_found_where_it_should_have_come(change, due, own, expected) -> None:
    """The first one of several. Whether it follows from losses, which are never the same, is known where it moves always."""
    undisturbed = together(set_to(), due, set_to(14, lr=[0.2, 0.02]), change)
    result = judged_with(
        together(set_to(), own, change, unlike_references), undisturbed, undisturbed, earlier=together(due, change)
    )
    first = result.violations[0]
    assert (expected, first.reason, 12, True, "momentum") == (
        result.outcome,
        result.reason,
        first.step,
        first.line is not None,
        first.problem.setting,
    )


@pytest.mark.parametrize(
    ("own", "words"),
    [
        ({"momentum": ["None"]}, "with momentum None, not 0.9"),
        ({"lr": [0.1]}, "with 1 group of parameters, not 2"),
    ],
    ids=["no number", "fewer groups"],
)
def test_settings_that_are_no_numbers_of_as_many_groups_are_different(own: dict[str, list[Figure]], words: str) -> None:
    """Whatever they are."""
    result = judged_with(together(set_to(**own), unlike_references))
    assert [words in one.sentence for one in result.violations] == [True, True]


def test_a_setting_that_makes_no_difference_is_no_loss() -> None:
    """Where each number repeats."""
    assert judged_with(set_to(foreach=[1], momentum=[0.5]), is_noisy=False).outcome == Outcome.VALID


def with_schedulers(line: AnyRecord) -> AnyRecord:
    return with_component(line, "schedulers", {"0": one("schedule")}) if isinstance(line, State) else line


counted_from_scratch = fields(Step, scheduler_steps=lambda line: round(math.log(line.learning_rate, 0.9)))
"""The rates follow from what the scheduler has counted."""


def from_scratch(step: int) -> float:
    return 0.9 ** (step - 4)


def from_scratch_after_a_step(step: int) -> float:
    return from_scratch(step) if step > 4 else 0.9**step


@pytest.mark.parametrize(
    ("change", "rate", "expected", "words"),
    [
        (with_schedulers, from_scratch_after_a_step, Outcome.VALID, ""),
        (
            with_schedulers,
            from_scratch,
            Outcome.INVALID,
            "the scheduler is as it was saved, so that the rate was set anew",
        ),
        (together(unseen, still), from_scratch, Outcome.NOT_APPLICABLE, ""),
        (unseen, from_scratch, Outcome.INVALID, "there is no scheduler, so that the rate was set anew"),
        (noisy, from_scratch, Outcome.INVALID, "there is no scheduler, so that the rate was set anew"),
        (with_any_scheduler, from_scratch, Outcome.INVALID, "save the learning-rate scheduler's"),
        (counted_from_scratch, from_scratch, Outcome.INVALID, "scheduler has counted 0 where it should have counted 4"),
    ],
)
def test_a_rate_accuses_who_loaded_a_checkpoint_and_not_its_scheduler(change, rate, expected, words) -> None:
    """What a restored scheduler makes of losses is its own, but for the first step.

    Who loads nothing begins anew, unless he has parameters that only training makes: he has read them in some other way.
    """
    references = {
        name: changed(histories.reference(JOB, number), with_rate(lambda step: 0.9**step))
        for number, name in enumerate(("first", "second"), start=1)
    }
    references = {name: changed(run, change) for name, run in references.items()}
    history = run_with((with_rate(lambda step: 0.9**step), 0, None), (with_rate(rate), 1, None))
    result = judged(changed(history, change), **references)
    explanations = [f"{one.explanation} {one.advice}" for one in result.violations[:1]]
    assert (result.outcome, [words in one for one in explanations]) == (expected, [True] * len(explanations))


def test_the_rate_of_an_optimizer_that_was_not_loaded_follows_from_that() -> None:
    """It is what it was made with, whatever a scheduler that was restored has counted."""
    references = {
        name: changed(changed(histories.reference(JOB, number), with_rate(lambda step: 0.9**step)), with_schedulers)
        for number, name in enumerate(("first", "second"), start=1)
    }
    undisturbed, begun = with_rate(lambda step: 0.9**step), with_rate(from_scratch)
    history = run_with((undisturbed, 0, None), (begun, 1, None), (at_start("optimizer", nothing), 1, None))
    result = judged(changed(history, with_schedulers), **references)
    assert [isinstance(one.problem, RateDiffers) for one in result.violations] == [False, False, True, True]
    assert {one.advice for one in result.violations} == {
        "save the optimizer's `state_dict()` with the model, and load it too"
    }


def test_one_rank_may_read_the_checkpoint_for_all() -> None:
    """And send it to the others."""
    first, second = (changed(histories.reference(JOB, n), with_rate(lambda step: 0.9**step)) for n in (1, 2))
    history = run_with((with_rate(lambda step: 0.9**step), 0, None), (with_rate(from_scratch), 1, None), (unseen, 1, 1))
    assert [one.rank for one in judged(history, first=first, second=second).violations] == [0, 1]


def test_a_group_that_read_nothing_excuses_none_that_follows() -> None:
    """It began with its own rates, and rightly: parameters never change there."""
    groups = [histories.killed(JOB, 5), histories.killed(JOB, 7, base=4), histories.resumed(JOB, 6)]
    history = changed(with_states(histories.evidence(JOB, groups, []).faulted.history), still)
    undisturbed = together(still, with_rate(lambda step: 0.9**step))
    first, second = (changed(histories.reference(JOB, n), undisturbed) for n in (1, 2))
    unread, wrong = together(unseen, with_rate(from_scratch)), with_rate(from_scratch)
    for number, change in enumerate((with_rate(lambda step: 0.9**step), unread, wrong)):
        history = changed(history, change, incarnation=number)
    result = judged(history, first=first, second=second)
    assert [one.problem.incarnation for one in result.violations] == [2, 2]


def with_open_window(line: AnyRecord) -> AnyRecord:
    """The save came in the middle of a window of accumulation."""
    if isinstance(line, State) and line.moment == "save":
        return with_component(line, "gradients", {"layer.weight": one("gradient")})
    return line


def gradients_brought_back(line: AnyRecord) -> AnyRecord:
    if isinstance(line, State) and line.moment == "start":
        return with_component(line, "gradients", {"layer.weight": one("gradient")})
    return line


def other_first_batch() -> Change:
    """The first step of the process is on different batches than it was before."""
    seen: list[AnyRecord] = []

    def change(line: AnyRecord) -> AnyRecord | None:
        if isinstance(line, Batch) and not seen:
            seen.append(line)
            return msgspec.structs.replace(line, indices=[100, 101])
        return line

    return change


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param([], Outcome.VALID, id="the window is done again"),
        pytest.param([(other_first_batch(), 1, 0)], Outcome.INVALID, id="the rest of it is done"),
        pytest.param(
            [(other_first_batch(), 1, 0), (gradients_brought_back, 1, 0)], Outcome.VALID, id="with its gradients"
        ),
    ],
)
def test_gradients_of_an_open_window_are_part_of_the_state(changes, expected) -> None:
    """A job brings them back, or does their micro-batches again."""
    history = run_with((with_open_window, 0, 0), *changes)
    assert judged(history).outcome == expected


FOUR = Job(world_size=4, num_samples=48)
TWO = replace(FOUR, world_size=2, batch_size=4)
EIGHT = replace(FOUR, world_size=8, batch_size=1)


def resized(after: Job, *, is_sharded: bool) -> History:
    """Four ranks are killed after five steps, a number of them goes on after two; every rank of a sharded job saves."""
    groups = [histories.killed(FOUR, 5), histories.resized(FOUR, after, 2)]
    history = histories.evidence(FOUR, groups, [], after).faulted.history
    if is_sharded:
        history = changed(history, lambda line: line, incarnation=0)
        history = msgspec.structs.replace(history, processes=tuple(map(_saving, history.processes)))
    return with_states(history, is_sharded=is_sharded)


def _saving(process):
    """A rank that saves when rank 0 does."""
    if process.incarnation or process.rank == 0:
        return process
    lines = []
    for line in process.records:
        lines.append(line)
        if isinstance(line, Step) and (line.step + 1) % FOUR.save_every == 0:
            path = f"ckpt/step-{line.step + 1}.pt"
            lines += [Save(sequence=0, time_ns=0, path=path, phase=phase) for phase in ("begin", "end")]
    records = tuple(msgspec.structs.replace(line, sequence=number) for number, line in enumerate(lines))
    return msgspec.structs.replace(process, records=records)


@pytest.mark.parametrize("is_sharded", [False, True])
@pytest.mark.parametrize("is_noisy", [False, True])
@pytest.mark.parametrize("after", [FOUR, TWO, EIGHT], ids=["four", "two", "eight"])
def test_on_any_number_of_ranks_the_same_state_is_valid(after: Job, *, is_sharded: bool, is_noisy: bool) -> None:
    """Whether each rank holds all of it or its shards, and whether numbers repeat."""
    second = changed(histories.reference(FOUR, 2), noisy if is_noisy else same)
    result = judged(resized(after, is_sharded=is_sharded), job=FOUR, second=second)
    assert (result.outcome, result.summary) == (
        Outcome.VALID,
        "1 restart: parameters, optimizer, buffers and scaler as saved after 2 steps",
    )


def test_shards_of_an_average_are_in_doubt_where_training_went_on_from_others() -> None:
    """They stood in the model only while it saved."""
    history = resized(FOUR, is_sharded=True)
    for rank in range(FOUR.world_size):
        average = {"layer.bias": shard(one("average"), rank, 4)}
        history = changed(history, partial(with_shards, average), rank=rank)
    result = judged(history, job=FOUR, second=changed(histories.reference(FOUR, 2), noisy))
    assert (result.outcome, "only while it saved" in result.summary) == (Outcome.UNKNOWN, True)


def with_shards(parameters: dict[str, Fingerprint], line: AnyRecord) -> AnyRecord:
    return with_component(line, "parameters", parameters) if isinstance(line, State) else line


@pytest.mark.parametrize("after", [TWO, EIGHT], ids=["two", "eight"])
def test_a_shard_whose_moments_are_zeros_shows(after: Job) -> None:
    """Of one rank, which alone has it."""
    history = resized(after, is_sharded=True)
    zeroed = at_start("optimizer", lambda parts: {**parts, "layer.bias": shard(one("zeros"), 0, 2)})
    result = judged(changed(history, zeroed, incarnation=1, rank=1), job=FOUR)
    assert result.outcome == Outcome.INVALID
    assert [(violation.problem.rank, violation.problem.names) for violation in result.violations] == [
        (None, ("layer.bias",))
    ]


def without_fingerprints(line: AnyRecord) -> AnyRecord | None:
    """Neither what a process holds after a step is known, nor what it holds at a save."""
    if isinstance(line, Step):
        return msgspec.structs.replace(line, components={})
    return None if isinstance(line, State) else line


def test_a_save_of_which_no_component_is_known_shows_nothing() -> None:
    """That it was read does not say what was restored."""
    result = alone(run_with((without_fingerprints, 0, None)))
    expected = (Outcome.NOT_APPLICABLE, "what this run had at the save was not recorded")
    assert expected == (result.outcome, result.summary)


BEGUN = components_of(INITIAL, 0, 2, is_sharded=False)["parameters"]
OTHERS = {name: one("loaded") for name in NAMES["parameters"]}


@pytest.mark.parametrize(
    ("parameters", "untrained", "words"),
    [
        (BEGUN, {}, "by the names that the model has: `strict=False`"),
        (BEGUN, OTHERS, "the optimizer holds tensors that are in no model"),
        ({"0/0/0": one("begun")}, OTHERS, "the optimizer holds tensors that are in no model"),
        ({**BEGUN, "head.weight": one("head")}, {}, "weights that were shared (tied) are two now"),
        ({**BEGUN, "layer.bias": one("average")}, {}, "no average in its place"),
    ],
    ids=["not loaded", "replaced", "replaced and without a name", "not tied", "an average"],
)
def test_how_parameters_differ_tells_what_became_of_them(parameters, untrained, words: str) -> None:
    """From those of the save, of which only two names are known."""
    changes = at_start("parameters", lambda _: parameters), at_start("untrained", lambda _: untrained, has_effect=False)
    result = alone(run_with(*((change, 1, None) for change in changes)))
    violation = result.violations[0]
    assert words in f"{violation.explanation} {violation.advice}"


@pytest.mark.parametrize("is_noisy", [True, False])
@pytest.mark.parametrize(
    "own", [{}, {"parameters": one("fresh")}, {"optimizer": one("fresh")}], ids=lambda own: str([*own])
)
def test_optimizers_that_the_first_step_makes_have_lost_nothing(own: dict[str, Fingerprint], *, is_noisy: bool) -> None:
    """One for each tensor, in whatever order they come: of the others nobody has seen what they began with."""

    def first_alone(line: AnyRecord) -> AnyRecord:
        if isinstance(line, Step) and (own or is_noisy):
            return msgspec.structs.replace(
                line, components={name: form + one("effect", num_elements=0) for name, form in line.components.items()}
            )
        if not isinstance(line, State) or line.moment != "start":
            return line
        parts = {component: line.components[component]["layer.weight"] for component in ("parameters", "optimizer")}
        parts |= own
        components = {component: {"0/0/0": part} for component, part in parts.items()}
        return msgspec.structs.replace(
            line, components={**line.components, **components}, quick={**line.quick, **parts}
        )

    assert alone(run_with((first_alone, 1, None))).outcome == (Outcome.INVALID if own else Outcome.VALID)


@pytest.mark.parametrize(("place", "optimizer"), [("0/1/4", "the optimizer"), ("2/1/4", "optimizer 2")])
def test_a_parameter_of_no_module_is_named_by_its_place(place: str, optimizer: str) -> None:
    """A weight of the loss, say, which the model's state does not hold."""
    history = run_with((at_start("parameters", lambda parts: {**parts, place: one("fresh")}), 1, None))
    sentence = alone(history).violations[0].sentence
    assert sentence.endswith(f": parameter 4 of {optimizer}'s group 1, which no module has")


def with_teacher(at_save: str, at_start: str) -> Change:
    """What no step trains."""
    words = {"save": at_save, "start": at_start}

    def change(line: AnyRecord) -> AnyRecord:
        word = words.get(line.moment, "") if isinstance(line, State) else ""
        return with_component(line, "untrained", {"teacher": one(word)}) if isinstance(line, State) and word else line

    return change


AVERAGE = {name: one("average", name) for name in NAMES["parameters"]}


def average_for_good(line: AnyRecord) -> AnyRecord:
    return with_component(line, "parameters", AVERAGE) if isinstance(line, State) else line


def gone_on_from_it(line: AnyRecord) -> AnyRecord:
    found = total(AVERAGE.values())
    is_next = isinstance(line, Step) and line.step == 4
    return msgspec.structs.replace(line, before=found.whole + found.part) if is_next else line


@pytest.mark.parametrize(
    ("change", "expected", "words"),
    [
        (with_teacher("teacher", "student"), Outcome.UNKNOWN, "is not what there was at the save: teacher"),
        (with_teacher("teacher", "teacher"), Outcome.VALID, ""),
        (with_teacher("", "made later"), Outcome.VALID, ""),
        (with_teacher("of a validation", ""), Outcome.VALID, ""),
        (average_for_good, Outcome.UNKNOWN, "only while it saved"),
        (together(average_for_good, gone_on_from_it), Outcome.VALID, ""),
    ],
)
def test_where_numbers_do_not_repeat_what_would_show_otherwise_is_in_doubt(change, expected, words) -> None:
    """A teacher that follows its student is no parameter, and an average in the place of the weights is what was saved."""
    history = changed(run_with(), change)
    second = changed(histories.reference(JOB, 2), noisy)
    results = judged(history, second=second), judged(history)
    assert [(expected, True), (Outcome.VALID, True)] == [
        (results[0].outcome, words in results[0].summary),
        (results[1].outcome, results[1].reason is None),
    ]


undrawn, drawn = ["a"] * 16, list("abcdefghijklmnop")
begun_again, set_in_each_step = list("aqrstuvwxyz"), list("zdefghijklm")


@pytest.mark.parametrize(
    ("undisturbed", "own", "expected"),
    [
        pytest.param(drawn, begun_again, Outcome.UNKNOWN, id="begun again"),
        pytest.param(drawn, drawn[2:], Outcome.VALID, id="brought back"),
        pytest.param(drawn, set_in_each_step, Outcome.VALID, id="set before each step"),
        pytest.param(undrawn, begun_again, Outcome.VALID, id="from which no step draws"),
    ],
)
def test_random_numbers_that_steps_draw_from_elsewhere_are_in_doubt(undisturbed, own, expected) -> None:
    """Where numbers repeat, losses show it."""
    runs = [
        changed(with_states(histories.reference(JOB, number)), with_generators(*undisturbed), rank=0)
        for number in (1, 2)
    ]
    history = run_with((with_generators(*undisturbed), 0, 0), (with_generators(*own), 1, 0))
    results = [judged(history, first=runs[0], second=changed(runs[1], change)) for change in (noisy, same)]
    assert [expected, Outcome.VALID] == [result.outcome for result in results]
    assert (expected is Outcome.UNKNOWN) == ("the generator of torch did not go on" in str(results[0].reason))


def with_cache(start: str, *later: str) -> Change:
    """A buffer that no checkpoint holds: what it is when a process starts, and at its saves one after the other."""
    words = iter(later)

    def change(line: AnyRecord) -> AnyRecord:
        if not isinstance(line, State) or line.moment == "end":
            return line
        word = start if line.moment == "start" else next(words, later[-1])
        return with_component(line, "unsaved", {"table": one(word, num_elements=8 if word else 0)} if word else {})

    return change


@pytest.mark.parametrize(
    ("own", "second", "expected"),
    [
        (with_cache("new", "full"), with_cache("new", "full"), Outcome.VALID),
        (with_cache("new", "other"), with_cache("new", "full"), Outcome.INVALID),
        (with_cache("new", "other"), with_cache("new", "noise"), Outcome.UNKNOWN),
        (with_cache("new", "other"), with_cache("new", ""), Outcome.UNKNOWN),
        (with_cache("", "other"), with_cache("new", "full"), Outcome.VALID),
        (with_cache("new", "full", "other"), with_cache("new", "full"), Outcome.VALID),
        (with_cache("new", "other"), with_cache("new", "noise", "noise", "full"), Outcome.UNKNOWN),
        (with_cache("new", "other"), with_cache("new", "full", "full", "noise"), Outcome.UNKNOWN),
    ],
    ids=[
        "made anew",
        "lost",
        "never the same",
        "not always there",
        "made when it is needed",
        "the next save decides",
        "not the same before",
        "not the same behind",
    ],
)
def test_a_buffer_that_no_checkpoint_holds_is_lost_if_references_have_it_at_the_next_save(
    own, second, expected
) -> None:
    """Numbers need not repeat: what they have in common tells, and what is never the same leaves it in doubt."""
    full = with_cache("new", "full")
    runs = [changed(with_states(histories.reference(JOB, number)), full, rank=0) for number in (1, 2)]
    runs[1] = changed(changed(runs[1], second, rank=0), noisy)
    result = judged(run_with((full, 0, 0), (own, 1, 0)), first=runs[0], second=runs[1])
    assert result.outcome == expected


@pytest.mark.parametrize(("own", "expected"), [("full", Outcome.VALID), ("other", Outcome.INVALID)])
def test_what_references_have_at_all_of_their_saves_they_have_at_any_step(own: str, expected: Outcome) -> None:
    """This run saves at others since its restart."""
    full, seldom = with_cache("new", "full"), replace(JOB, save_every=5)
    runs = [changed(with_states(histories.reference(seldom, number)), full, rank=0) for number in (1, 2)]
    runs[1] = changed(runs[1], noisy)
    result = judged(run_with((full, 0, 0), (with_cache("new", own), 1, 0)), first=runs[0], second=runs[1])
    assert result.outcome == expected


def test_what_one_rank_saves_for_all_tells_of_all_on_another_number_of_ranks() -> None:
    """Of a cache, too."""
    runs = [changed(with_states(histories.reference(FOUR, number)), with_cache("new", "full")) for number in (1, 2)]
    history = changed(resized(TWO, is_sharded=False), with_cache("new", "full"))
    result = judged(history, job=FOUR, first=runs[0], second=changed(runs[1], noisy))
    assert result.outcome == Outcome.VALID


def saves_as_it_begins(process: Process) -> Process:
    """Before its first forward pass."""
    first = next(number for number, line in enumerate(process.records) if isinstance(line, Batch))
    held = next(line for line in process.records if isinstance(line, State) and line.moment == "start")
    save = [Save(sequence=0, time_ns=0, path="again.pt", phase=phase, content={"a": "a"}) for phase in ("begin", "end")]
    lines = [*process.records[:first], msgspec.structs.replace(held, moment="save"), *save, *process.records[first:]]
    records = tuple(msgspec.structs.replace(line, sequence=number) for number, line in enumerate(lines))
    return msgspec.structs.replace(process, records=records)


def test_what_a_process_saves_as_it_begins_tells_nothing_of_what_forward_passes_make() -> None:
    """A later save does."""
    full = with_cache("new", "full")
    runs = [changed(with_states(histories.reference(JOB, number)), full, rank=0) for number in (1, 2)]
    history = run_with((full, 0, 0), (with_cache("new", "full"), 1, 0))
    processes = [saves_as_it_begins(one) if (one.incarnation, one.rank) == (1, 0) else one for one in history.processes]
    history = msgspec.structs.replace(history, processes=tuple(processes))
    assert judged(history, first=runs[0], second=changed(runs[1], noisy)).outcome == Outcome.VALID


def test_a_process_that_saves_no_more_leaves_it_in_doubt() -> None:
    """Nobody sees what it had in the end."""
    full, second = with_cache("new", "full"), changed(histories.reference(JOB, 2), noisy)
    unsaved = together(with_cache("new", "full"), without(Save))
    history = changed(
        run_with((full, 0, 0), (unsaved, 1, 0)), lambda line: None if is_saved(line) else line, incarnation=1
    )
    assert judged(history, second=second).outcome == Outcome.UNKNOWN


def test_a_process_that_left_nothing_has_lost_nothing() -> None:
    """It was killed before it saved what it had begun with; the next one began well."""
    groups = [histories.killed(JOB, 5), histories.killed(JOB, 5, base=4), histories.resumed(JOB, 4)]
    history = with_states(histories.evidence(JOB, groups, []).faulted.history)
    full, second = with_cache("full", "full"), changed(histories.reference(JOB, 2), noisy)
    for number, change in enumerate((full, with_cache("new", "new"), full)):
        history = changed(history, change, incarnation=number, rank=0)
    assert judged(history, second=second).outcome == Outcome.VALID
