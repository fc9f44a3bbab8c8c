from itertools import product

import msgspec
import pytest

from resumable.launch.checks.state import state
from resumable.launch.evidence.history import History
from resumable.launch.evidence.rank_records import AnyRecord, Backward, Batch, Exit, Figure, State, Step
from resumable.launch.explain.check_result import CheckResult
from resumable.launch.explain.codes.state_reasons import GeneratorsElsewhere, InputsDiffer
from resumable.launch.explain.outcome import Outcome
from resumable.launch.plan.fault_grammar import parse_fault
from resumable.launch.plan.fault_model import resolve
from tests.launch import histories
from tests.launch.changes import Change, changed, fields, same, together
from tests.launch.histories import Job
from tests.launch.states import NAMES, one, with_component, with_generators, with_states

JOB = Job(num_samples=32)


def judged(change: Change, incarnation: int = 1) -> CheckResult:
    history = histories.one_kill(JOB).faulted.history
    return state(histories.of_histories(changed(history, change, incarnation=incarnation, rank=1), JOB, []))


other_parameters = fields(Step, when=lambda line: line.step > 5, after="other")
other_loss = fields(Backward, when=lambda line: line.loss == JOB.loss(1, 6), loss=-1.0)
other_loss_and_parameters = together(other_parameters, other_loss)
other_buffers = fields(Step, when=lambda line: line.step > 5, buffers="other")
other_parameters_then_batches = together(
    other_parameters, fields(Batch, when=lambda line: line.epoch == 2, indices=lambda line: line.indices[::-1])
)
no_number = fields(Backward, loss=float("nan"))
other_start = fields(Step, before="other", after="other")
other_end = fields(Exit, parameters="other")
no_parameters = fields(Step, before=None, after=None)
nothing = together(no_parameters, fields(Backward, loss=None))


def test_equal_losses_and_parameters_are_valid():
    """After every step, and at the end."""
    result = judged(same)
    assert (result.outcome, result.summary) == (
        Outcome.VALID,
        "losses and parameters bit-equal after each of 24 steps",
    )


def test_what_was_not_looked_at_after_each_step_is_not_said_to_be_equal():
    """As in evidence of `--keep quick`."""
    runs = [histories.one_kill(JOB).faulted.history, histories.reference(JOB, 1), histories.reference(JOB, 2)]
    faulted, first, second = (changed(run, no_parameters) for run in runs)
    result = state(histories.of_histories(faulted, JOB, [], first=first, second=second))
    assert (result.outcome, result.summary) == (Outcome.VALID, "losses bit-equal after each of 24 steps")


@pytest.mark.parametrize(
    ("change", "sentence", "words"),
    [
        (
            other_parameters_then_batches,
            "rank 1 has different parameters than the reference from step 6 on",
            "batches are right but the parameters differ from step 6 on",
        ),
        (other_buffers, "rank 1 has different buffers than the reference from step 6 on", "running statistics"),
        (
            other_parameters,
            "rank 1 has different parameters than the reference from step 6 on",
            "batches are right but the parameters differ from step 6 on",
        ),
        (
            other_loss,
            "rank 1 has a different loss than the reference from step 6 on",
            "batches and parameters are right but the loss differs from step 6 on: what scales it was not",
        ),
        (
            other_loss_and_parameters,
            "rank 1 has different parameters than the reference from step 6 on",
            "the loss of step 6 is not, before its update: what was made of the samples differs (augmentation",
        ),
        (
            other_start,
            "rank 1 has different parameters than the reference from step 4 on",
            "the parameters that it started from are not",
        ),
        (other_end, "rank 1 ends with different parameters than the reference", ""),
    ],
)
def test_right_batches_and_another_state_are_invalid(change, sentence, words):
    """What was not restored is told apart: the model itself, or what goes with it."""
    result = judged(change)
    assert (result.outcome, result.summary) == (Outcome.INVALID, sentence)
    assert words in result.violations[0].explanation


@pytest.mark.parametrize(
    ("change", "place"),
    [
        (other_parameters, (1, 1, 6, 0, 2, "faulted/events/i001-r0001-1.jsonl", 13)),
        (other_end, (1, None, None, None, None, None, None)),
    ],
)
def test_the_first_difference_has_its_place(change, place):
    """As its process counts batches, with the line of the evidence; the end has a rank alone."""
    [one] = judged(change).violations
    assert place == (one.rank, one.incarnation, one.step, one.epoch, one.batch, one.file, one.line)


with_schedule = fields(Step, scheduler_steps=lambda line: line.step, learning_rate=0.1)


with_new_scheduler = together(
    other_parameters, fields(Step, scheduler_steps=lambda line: line.step - 4, learning_rate=0.5)
)


with_scheduler_made_anew = together(
    other_parameters, with_schedule, fields(Step, scheduler_steps=lambda line: line.step - 4)
)


with_new_rate = together(other_parameters, with_schedule, fields(Step, learning_rate=0.5))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (with_new_scheduler, "the learning-rate scheduler has counted 2 where it should have counted 6"),
        (with_scheduler_made_anew, "batches are right but the parameters differ from step 6 on"),
        (with_new_rate, "the learning rate is 0.5 where it should be 0.1"),
    ],
)
def test_a_learning_rate_that_does_not_go_on_is_named(change, words):
    """As it was in the first step that is another one."""
    runs = [histories.one_kill(JOB).faulted.history, histories.reference(JOB, 1), histories.reference(JOB, 2)]
    faulted, first, second = (changed(run, with_schedule) for run in runs)
    faulted = changed(faulted, change, incarnation=1, rank=1)
    result = state(histories.of_histories(faulted, JOB, [], first=first, second=second))
    assert words in result.violations[0].explanation


by_hand = fields(Step, before=None, after=None)
"""As a job without an optimizer leaves it: nothing tells its parameters."""


first_loss = fields(Backward, when=lambda line: line.loss == JOB.loss(1, 4), loss=-1.0)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (first_loss, "batches are right but the parameters that it started from are not"),
        (other_loss, "batches are right but the loss differs from step 6 on"),
    ],
)
def test_where_nothing_tells_the_parameters_the_loss_says_what_it_can(change, words):
    """Its first loss after the restart follows from what was loaded; if that is right, so was the model's state."""
    runs = [histories.one_kill(JOB).faulted.history, histories.reference(JOB, 1), histories.reference(JOB, 2)]
    runs[0] = changed(runs[0], change, incarnation=1, rank=1)
    faulted, first, second = (changed(run, by_hand) for run in runs)
    [violation] = state(histories.of_histories(faulted, JOB, [], first=first, second=second)).violations
    assert violation.explanation.startswith(words)


def with_damage_to(path: str, change: Change) -> CheckResult:
    """`step-4.pt`, which was loaded, is damaged or another file is."""
    planned = resolve([parse_fault("corrupt@step=4:rank=1")], world_size=2, seed=0)[0]
    history = changed(histories.hit(JOB, planned, path=path), change, incarnation=1, rank=1)
    return state(histories.of_histories(history, JOB, [planned]))


@pytest.mark.parametrize("change", [other_start, other_parameters])
@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("ckpt/step-4.pt", "ckpt/step-4.pt was damaged (corrupt)"),
        ("ckpt/step-4.pt/__0_0.distcp", "ckpt/step-4.pt/__0_0.distcp was damaged (corrupt)"),
        ("ckpt/step-2.pt", "batches are right but"),
    ],
)
def test_a_damaged_checkpoint_that_was_loaded_all_the_same_is_named(change, path, words):
    """Nothing but the parameters shows that its bytes are others."""
    assert words in with_damage_to(path, change).violations[0].explanation


def test_another_state_after_other_batches_is_their_consequence():
    """The optimizer is not blamed for what the sampler did."""
    result = state(histories.one_kill(JOB, rank1=lambda epochs: [epochs[0][1:], *epochs[1:]]))
    [explanation] = [violation.explanation for violation in result.violations if violation.rank == 1]
    assert explanation == "it follows from the batches, which differ already"


def test_another_state_after_another_ranks_batches_is_their_consequence():
    """Gradients are shared: the right batches do not help a rank, and its checkpoint is not to blame."""
    result = state(histories.one_kill(JOB, rank1=lambda epochs: [epochs[0][1:], *epochs[1:]]))
    [explanation] = [violation.explanation for violation in result.violations if violation.rank == 0]
    assert explanation.startswith("it follows from the batches of rank 1, which differ already")


def test_a_difference_before_the_restart_is_unknown():
    """The restart is not to blame for it."""
    assert judged(other_loss_early, incarnation=0).outcome == Outcome.UNKNOWN


half_of_last_step = fields(Step, when=lambda line: line.step == 4, after="half")


def test_a_killed_process_may_have_done_half_of_its_last_step():
    """It had two optimizers, and the fault came between them."""
    assert judged(half_of_last_step, incarnation=0).outcome == Outcome.VALID


other_loss_early = fields(Backward, loss=-1.0)


def test_numbers_that_do_not_repeat_are_not_compared_but_measured():
    """Bit by bit such a job is equal to nothing, itself included: what is told is how far apart its runs are."""
    second = changed(histories.reference(JOB, 2), slightly_other_loss, rank=1)
    faulted = changed(histories.one_kill(JOB).faulted.history, much_different_loss, incarnation=1, rank=1)
    result = state(histories.of_histories(faulted, JOB, [], second=second))
    assert (result.outcome, result.summary) == (
        Outcome.NOT_APPLICABLE,
        "its numbers do not repeat: 2 uninterrupted runs differ by up to 1.0e-02 in loss, "
        "the faulted run from the nearest of them by up to 5.0e-01 in loss; "
        "what is proved rests on the order of the data, on restored and on everything else that is exact",
    )


slightly_other_loss = fields(Backward, loss=lambda line: (line.loss or 0) * 0.99)
much_different_loss = fields(Backward, loss=lambda line: (line.loss or 0) * 2)


def everywhere(change: Change) -> CheckResult:
    """Every line of every process of every run is changed."""
    runs = [histories.one_kill(JOB).faulted.history, histories.reference(JOB, 1), histories.reference(JOB, 2)]
    faulted, first, second = (changed(run, change) for run in runs)
    return state(histories.of_histories(faulted, JOB, [], first=first, second=second))


def test_a_loss_that_is_no_number_equals_itself():
    """NaN came both times."""
    assert everywhere(no_number).outcome == Outcome.VALID


def test_nothing_recorded_is_not_applicable():
    """A job without an optimizer and with losses elsewhere than on the CPU."""
    assert everywhere(nothing).outcome == Outcome.NOT_APPLICABLE


without_loss = fields(Backward, loss=None)


def test_parameters_alone_are_compared_too():
    """Losses that lie elsewhere than on the CPU are not recorded."""
    assert everywhere(without_loss).outcome == Outcome.VALID


def test_an_end_that_the_references_lack_proves_nothing_about_the_run():
    """One of their ranks was killed before its last line: there is nothing to compare the end of the run with."""

    def without_end(history: History) -> History:
        killed = msgspec.structs.replace(history.processes[1], records=history.processes[1].records[:-1])
        return msgspec.structs.replace(history, processes=(history.processes[0], killed))

    first, second = (without_end(histories.reference(JOB, number)) for number in (1, 2))
    run = histories.one_kill(JOB).faulted.history
    assert state(histories.of_histories(run, JOB, [], first=first, second=second)).outcome is Outcome.VALID


def with_first_loss(rank: int) -> Change:
    """The rank's loss differs in its first step after the restart; what it draws depends on nothing that is restored."""
    right = JOB.loss(rank, 4)
    return fields(Backward, when=lambda line: line.loss == right, loss=-1.0)


def from_step(step: int, after: str) -> Change:
    """Parameters differ from a step on."""
    return fields(Step, when=lambda line: line.step >= step, after=lambda line: f"{after}-{line.step}")


unchanged_at_first = together(
    from_step(5, "other"), fields(Step, when=lambda line: line.before, after=lambda line: line.before)
)
"""The first step after the restart leaves the parameters as they were; all later ones differ."""


@pytest.mark.parametrize(
    ("losses", "change", "words"),
    [
        (
            (0, 1),
            from_step(4, "x"),
            "the loss of step 4 is not, before its update: what was made of the samples differs",
        ),
        (
            (1,),
            from_step(4, "x"),
            "the first loss of rank 1 after the restart is not, though that of the other ranks is",
        ),
        ((), from_step(4, "x"), "the update of step 4 is not: the optimizer's state was not restored"),
        ((), unchanged_at_first, "step 4 changed nothing: a gradient scaler leaves steps out"),
        ((), from_step(6, "x"), "batches are right but the parameters differ from step 6 on"),
    ],
    ids=["augmentation", "one rank's generator", "optimizer", "loss scale", "later"],
)
def test_what_differs_first_is_to_blame(losses: tuple[int, ...], change: Change, words: str) -> None:
    """The loss comes before the update, and what an update is made of before its result."""
    history = histories.one_kill(JOB).faulted.history
    for rank in (0, 1):
        own = with_first_loss(rank) if rank in losses else same
        history = changed(changed(history, own, incarnation=1, rank=rank), change, incarnation=1, rank=rank)
    violation = state(histories.of_histories(history, JOB, [])).violations[0]
    assert words in violation.explanation


def with_told(component: str, name: str) -> Change:
    """There is this, too, at the save and at the start."""
    return lambda line: with_component(line, component, {name: one("there")}) if isinstance(line, State) else line


def another_at_start(component: str, name: str) -> Change:
    """The process starts with something else in its place."""
    return lambda line: with_component(line, component, {name: one("another")}) if is_start(line) else line


def is_start(line: AnyRecord) -> bool:
    return isinstance(line, State) and line.moment == "start"


going_on_from_x = together(
    from_step(0, "x"),
    fields(Step, when=lambda line: line.before is not None, before="x-7"),
    fields(Backward, loss=-1.0),
)
"""All parameters differ, and all losses; before its first step they are what the process before it had at step 8."""


def test_who_goes_on_from_what_differs_already_has_no_fault_of_its_own() -> None:
    """The process before it had lost something; its own loss differs before anything else of it does."""
    groups = [histories.killed(JOB, 5), histories.killed(JOB, 9, base=4), histories.resumed(JOB, 8)]
    history = histories.evidence(JOB, groups, []).faulted.history
    for rank in (0, 1):
        history = changed(history, from_step(1, "x"), incarnation=1, rank=rank)
        history = changed(history, going_on_from_x, incarnation=2, rank=rank)
    explained = {one.incarnation: one.explanation for one in state(histories.of_histories(history, JOB, [])).violations}
    assert "it follows from the parameters of an earlier process" in explained[2]


with_untrained = with_told("untrained", "base.weight")
"""Of a model a part of which is frozen."""


def set_to(settings: dict[str, list[Figure]]) -> Change:
    """On the first step of a process."""
    return fields(Step, when=lambda line: line.before is not None, settings={"layer.bias": settings})


moved_by_a_forward_pass = together(
    fields(Step, when=lambda line: line.before is not None, before="moved"), from_step(4, "x")
)
"""What the first step finds is of no other moment, though all was as it had been saved before the forward pass."""


def without_component(component: str) -> Change:
    return lambda line: with_component(line, component, {}) if isinstance(line, State) else line


def with_drawn_numbers(line: AnyRecord) -> AnyRecord:
    """Since the save."""
    is_start = isinstance(line, State) and line.moment == "start"
    return with_component(line, "random", {"torch": one("drawn from")}) if is_start else line


other_losses = together(with_first_loss(0), with_first_loss(1))
"""Of both ranks."""


@pytest.mark.parametrize(
    ("job", "changes", "words"),
    [
        (
            with_untrained,
            [from_step(4, "x"), another_at_start("untrained", "base.weight")],
            "is not what there was at the save: base.weight",
        ),
        (set_to({"momentum": [0.9]}), [from_step(4, "x"), set_to({"momentum": [0.5]})], "settings were not restored"),
        (
            with_told("unsaved", "norm.mean"),
            [from_step(4, "x"), another_at_start("unsaved", "norm.mean")],
            "(`persistent=False`) are not those that there were at the save: norm.mean",
        ),
        (
            with_untrained,
            [from_step(4, "x")],
            "the optimizer's state is as it was saved, so that gradients are treated",
        ),
        (without_component("optimizer"), [from_step(4, "x")], "no optimizer was seen to hold any state"),
        (
            with_untrained,
            [other_losses, moved_by_a_forward_pass],
            "samples and parameters are right, and yet the loss of",
        ),
        (with_untrained, [other_losses], "the loss differs from step 4 on: what scales it was not restored"),
        (
            without_component("scaler"),
            [other_losses],
            "torch's generator was as it had been at the save, so that something else goes",
        ),
        (
            without_component("scaler"),
            [other_losses, with_drawn_numbers],
            "what the model draws (dropout), or what else goes into",
        ),
    ],
    ids=[
        "frozen weights",
        "settings",
        "unsaved buffers",
        "gradients",
        "no optimizer",
        "a momentum encoder",
        "a scale",
        "no scale",
        "a generator elsewhere",
    ],
)
def test_what_the_state_proves_right_is_not_blamed(job: Change, changes: list[Change], words: str) -> None:
    """All that is restored is as it was saved, and yet the first step is another one."""
    history = changed(with_states(histories.one_kill(JOB).faulted.history), job)
    for change, rank in product(changes, (0, 1)):
        history = changed(history, change, incarnation=1, rank=rank)
    assert words in state(histories.of_histories(history, JOB, [])).violations[0].explanation


@pytest.mark.parametrize("name", ["python", "numpy", "torch"])
def test_a_generator_that_steps_draw_from_and_that_went_on_elsewhere_is_named(name: str) -> None:
    """Rather than all that may go into a loss."""
    drawn, begun_again = "abcdefghijklmnop", "aqrstuvwxyz"
    runs = [
        changed(with_states(histories.reference(JOB, number)), with_generators(*drawn, name=name), rank=0)
        for number in (1, 2)
    ]
    history = changed(with_states(histories.one_kill(JOB).faulted.history), without_component("scaler"))
    for incarnation, words in enumerate((drawn, begun_again)):
        history = changed(history, with_generators(*words, name=name), incarnation=incarnation, rank=0)
    for rank in (0, 1):
        history = changed(history, together(other_losses, from_step(4, "x")), incarnation=1, rank=rank)
    violations = state(histories.of_histories(history, JOB, [], first=runs[0], second=runs[1])).violations
    assert [GeneratorsElsewhere(names=(name,))] * 2 == [violation.reason for violation in violations]


def test_what_is_known_of_the_generator_of_one_rank_is_the_cause_of_all() -> None:
    """Rank 1 saves nothing; its loss differs at the same step, from which on something changed the parameters in between."""
    history = changed(with_states(histories.one_kill(JOB).faulted.history), without_component("scaler"))
    for rank in (0, 1):
        history = changed(history, from_step(5, "x"), incarnation=1, rank=rank)
        right = JOB.loss(rank, 5)
        lost = fields(Backward, when=lambda line, right=right: line.loss == right, loss=-1.0)
        history = changed(history, lost, incarnation=1, rank=rank)
    first, second = state(histories.of_histories(history, JOB, [])).violations
    assert first.reason == second.reason == InputsDiffer(step=5, is_generator_right=True, is_later=True)
    assert "or something changes the parameters between steps" in second.explanation


def test_a_rank_that_saves_nothing_has_the_cause_of_the_one_that_does() -> None:
    """Of its own frozen weights nobody knows what they were at the save."""
    history = changed(with_states(histories.one_kill(JOB).faulted.history), with_untrained)
    for change, rank in product([from_step(4, "x"), another_at_start("untrained", "base.weight")], (0, 1)):
        history = changed(history, change, incarnation=1, rank=rank)
    first, second = state(histories.of_histories(history, JOB, [])).violations
    assert first.reason == second.reason


def averaged(line: AnyRecord) -> AnyRecord:
    """Whatever is saved, and started from, is an average."""
    average = {name: one("average", name) for name in NAMES["parameters"]}
    return with_component(line, "parameters", average) if isinstance(line, State) else line


def test_what_stood_in_the_model_only_while_it_saved_is_not_what_was_trained() -> None:
    """The process starts from what was saved, and yet training went on from something else."""
    history = changed(with_states(histories.one_kill(JOB).faulted.history), averaged)
    for rank in (0, 1):
        history = changed(history, from_step(4, "x"), incarnation=1, rank=rank)
    assert "only while it saved" in state(histories.of_histories(history, JOB, [])).violations[0].explanation


def test_another_state_after_another_ranks_is_its_consequence() -> None:
    """The ranks share their gradients."""
    history = histories.one_kill(JOB).faulted.history
    history = changed(
        changed(history, from_step(5, "x"), incarnation=1, rank=0), from_step(4, "x"), incarnation=1, rank=1
    )
    first, _ = state(histories.of_histories(history, JOB, [])).violations
    assert (first.rank, first.explanation.startswith("it follows from the state of rank 1")) == (0, True)


apart = together(fields(Step, after="nan"), fields(Backward, loss=None))
"""Losses and parameters of a training that has come apart."""


def test_numbers_that_are_the_same_whatever_was_lost_prove_nothing() -> None:
    """Parameters and losses that are NaN equal each other."""
    runs = [histories.one_kill(JOB).faulted.history, histories.reference(JOB, 1), histories.reference(JOB, 2)]
    faulted, first, second = (changed(run, apart) for run in runs)
    result = state(histories.of_histories(faulted, JOB, [], first=first, second=second))
    assert (result.outcome, "they may be no numbers (NaN)" in result.summary) == (Outcome.UNKNOWN, True)
