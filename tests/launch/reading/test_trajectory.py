"""Each test writes the lines of one process as a word: what the training loop did, one letter an event.

`a` to `e` are batches of loader 0, `A` to `E` batches of loader 1 (their index is the letter's place in the alphabet),
`^` a backward pass, `.` an optimizer step, `|` the end of loader 0's pass, `!` the end of loader 1's; `v` is a batch of
loader 1, `w` one of loader 2, while autograd is off. `x`, `y` and `z` are inputs of a model that no loader delivered.
"""

import msgspec
import pytest

from resumable.launch.evidence.history import Process
from resumable.launch.evidence.loop_profile import LoopProfile, profile_of
from resumable.launch.evidence.rank_records import FIRST_INPUT, AnyRecord, Backward, Batch, EpochEnd, Exit, Step
from resumable.launch.reading.trajectory import Trajectory, trace
from tests.launch.lines import started


def lines_of(word: str) -> list[AnyRecord]:
    passes = [0, 0, 0]
    lines: list[AnyRecord] = []
    for number, letter in enumerate(word, start=1):
        common = {"sequence": number, "time_ns": number}
        match letter:
            case "^":
                lines.append(Backward(**common, loss=0.5))
            case ".":
                lines.append(Step(**common, step=0, after=f"after line {number + 1}"))
            case "|" | "!":
                loader = "|!".index(letter)
                lines.append(EpochEnd(**common, loader=loader, epoch=passes[loader], num_batches=0))
                passes[loader] += 1
            case "x" | "y" | "z":
                lines.append(Batch(**common, loader=FIRST_INPUT, epoch=0, batch=0, indices=["xyz".index(letter)]))
            case _:
                loader = 2 if letter == "w" else int(letter.isupper() or letter == "v")
                index = "abcdefghijklmnopqrstuvw".index(letter.lower())
                lines.append(
                    Batch(
                        **common,
                        loader=loader,
                        epoch=passes[loader],
                        batch=index,
                        indices=[index],
                        grad_enabled=letter not in "vw",
                    )
                )
    return lines


def process(word: str, *, is_finished: bool = False) -> Process:
    start = started()
    lines = [start, *lines_of(word)]
    end = [Exit(sequence=len(lines), time_ns=0, reason="finished")] if is_finished else []
    return Process(file="x.jsonl", start=start, records=(*lines, *end))


def steps_of(trajectory: Trajectory) -> list[str]:
    return ["".join("abcdefghijklmnopqrstuv"[batch.key[0]] for batch in step.batches) for step in trajectory.steps]


@pytest.mark.parametrize(
    ("word", "steps"),
    [
        pytest.param("a^.b^.", ["a", "b"], id="one batch a step"),
        pytest.param("a^b^.c^d^.", ["ab", "cd"], id="gradient accumulation"),
        pytest.param("a^b^.", ["ab"], id="a step that a gradient scaler skipped"),
        pytest.param("abc^.d^.", ["c", "d"], id="fast-forward"),
        pytest.param("ab|a^.b^.", ["a", "b"], id="fast-forward through a whole epoch"),
        pytest.param("a^.b", ["a"], id="received and not trained on"),
        pytest.param("a^.b^", ["a"], id="killed before the step"),
        pytest.param(".a^.b^.", ["a", "b"], id="a phantom step before the first"),
        pytest.param("a^..b^..", ["a", "b"], id="two optimizers after one backward pass"),
        pytest.param("a^.^.b^.^.", ["a", "", "b", ""], id="two backward passes on one batch"),
        pytest.param("a^.b^.|vvv!a^.b^.|", ["a", "b", "a", "b"], id="validation without autograd"),
        pytest.param("a^.b^.|CDE!a^.b^.|", ["a", "b", "a", "b"], id="validation with autograd"),
        pytest.param("a^.b^.|CDE" + "a^.b^.|CDE" * 2, ["a", "b"] * 3, id="validation that is broken off"),
        pytest.param("Ea^.b^.c^.", ["a", "b", "c"], id="a peek at the validation data"),
        pytest.param("Ea^.b^.cC^.d^.|", ["a", "b", "c", "d"], id="validation between a batch and its backward pass"),
        pytest.param("aA^.bB^.", ["aa", "bb"], id="two loaders side by side"),
        pytest.param("a^.A^.b^.B^.", ["a", "a", "b", "b"], id="two loaders in turns"),
        pytest.param("wa^.wA^.wb^.wB^.", ["a", "a", "b", "b"], id="two loaders in turns and validation"),
        pytest.param("x^a^.b^.", ["a", "b"], id="a warm-up"),
        pytest.param("x^.y^.z^.a^.b^.", ["a", "b"], id="a warm-up with steps"),
        pytest.param("a^x^.b^y^.", ["a", "b"], id="noise for a second model"),
    ],
)
def test_a_step_consumes_what_came_before_its_backward_pass(word, steps):
    """A batch belongs to a step exactly if a backward pass came after it, before the next batch of its loader."""
    assert steps == steps_of(trace(process(word), LoopProfile()))


def test_loaders_that_take_turns_are_trained_on_one_at_a_time():
    """After a fast-forward the last batches of both wait, and the first backward pass is of the one received last."""
    profile = profile_of([(0, process("a^.A^.b^.B^.c^.").records)])
    assert steps_of(trace(process("aAbBcC^.d^.D^.|"), profile)) == ["c", "d", "d"]


def test_what_a_loop_drains_at_the_end_of_an_epoch_makes_no_loader_idle():
    """Most batches of both loaders were fast-forwarded or drained, and still both are trained on."""
    profile = profile_of([(0, process("a^.A^.b^.B^.c^.").records)])
    assert steps_of(trace(process("aAbBcC^.d^.abcde|ABCDE!a^.A^.b^.B^."), profile)) == ["c", "d", *"aabb"]


def test_batches_made_by_hand_count_where_no_loader_feeds_the_training():
    """A data loader serves for the validation only, with autograd on."""
    trained = trace(process("x^.y^.ab|z^.x^.ab|"), LoopProfile(ranks_without_loader=frozenset({0})))
    assert [batch.key[0] for step in trained.steps for batch in step.batches] == [0, 1, 2, 0]


def test_one_rank_may_read_for_all():
    """What the others are sent is an input of their model."""
    reader, other = process("a^.b^."), process("x^.y^.")
    other = msgspec.structs.replace(other, start=msgspec.structs.replace(other.start, rank=1))
    profile = profile_of([(0, reader.records), (1, other.records)])
    keys = [[step.keys for step in trace(one, profile).steps] for one in (reader, other)]
    assert keys == [[((0,),), ((1,),)]] * 2


def test_a_killed_process_leaves_an_unfinished_step():
    """What had a backward pass, and what was only received, is kept apart from what was consumed."""
    trajectory = trace(process("a^.b^c"), LoopProfile())
    assert ([b.key[0] for b in trajectory.unfinished], [b.key[0] for b in trajectory.waiting]) == ([1], [2])


def test_a_process_killed_in_its_first_backward_pass_had_a_batch():
    """No backward pass tells which loader is trained on; it is the last that delivered."""
    assert [batch.key[0] for batch in trace(process("Ea"), LoopProfile()).waiting] == [0]


@pytest.mark.parametrize(("is_finished", "steps"), [(True, ["a", "b", "c"]), (False, ["a", "b"])])
def test_without_an_optimizer_every_batch_is_a_step(is_finished, steps):
    """Hand-written updates leave no step line; the last one is proved only by what the script did afterwards."""
    assert steps == steps_of(trace(process("a^b^c^", is_finished=is_finished), LoopProfile(has_steps=False)))


def test_the_second_optimizer_says_the_state_after_the_step():
    """The parameters after a step are those after the last optimizer that ran for it."""
    assert trace(process("a^..b^."), LoopProfile()).steps[0].after == "after line 5"


@pytest.mark.parametrize("new", [3, 4])
def test_a_step_with_a_new_optimizer_has_one_whichever_of_two_it_is(new):
    """The lines of both belong to one step."""
    whole = process("a^..b^..")
    records = tuple(
        msgspec.structs.replace(line, has_new_optimizer=True) if line.sequence == new else line
        for line in whole.records
    )
    steps = trace(msgspec.structs.replace(whole, records=records), LoopProfile()).steps
    assert [step.record.has_new_optimizer for step in steps] == [True, False]


@pytest.mark.parametrize(
    ("word", "profile", "epochs"),
    [
        pytest.param("a^.|b^.|c^.", LoopProfile(), [0, 1, 2], id="one loader"),
        pytest.param("a|b|c^.|d^.", LoopProfile(), [0, 1], id="passes that were only fast-forwarded do not count"),
        pytest.param("a^.b^.|C^.D^.!E^.", LoopProfile(), [0, 0, 1, 1, 2], id="another loader for the rest of an epoch"),
        pytest.param(
            "aA^.|bB^.", LoopProfile(interleaves_loaders=True), [0, 0, 1, 0], id="each loader counts for itself"
        ),
    ],
)
def test_epochs_count_the_passes_that_were_trained_on(word, profile, epochs):
    """An epoch is the ordinal of a pass of which something was consumed."""
    steps = trace(process(word), profile).steps
    assert epochs == [batch.epoch for step in steps for batch in step.batches]


@pytest.mark.parametrize(
    ("word", "profile"),
    [
        pytest.param("a^.b^.|a^.", LoopProfile(), id="plain"),
        pytest.param("a^b^|a^", LoopProfile(has_steps=False), id="no optimizer"),
        pytest.param("aA^.bB^.", LoopProfile(interleaves_loaders=True), id="side by side"),
        pytest.param("Ea^.b^.|CDE!a^.b^.|CDE!", LoopProfile(), id="validation"),
        pytest.param(
            "x^.y^.abc!z^.x^.", LoopProfile(ranks_without_loader=frozenset({0})), id="by hand, with a validation"
        ),
        pytest.param("x^.a^.b^.c^.", LoopProfile(), id="a warm-up"),
        pytest.param(
            "ax^.y^.z^.", LoopProfile(ranks_without_loader=frozenset({0})), id="all data at once, cut up by hand"
        ),
        pytest.param("ax^.|by^.|cz^.|", LoopProfile(), id="all data in every step"),
    ],
)
def test_traits_are_seen_in_a_history(word, profile):
    """Whether there is an optimizer, and whether loaders run side by side, shows in the lines."""
    assert profile == profile_of([(0, process(word).records)])


@pytest.mark.parametrize(
    ("word", "steps"),
    [
        pytest.param("ab^^.cd^^.", [[0, 1], [2, 3]], id="two batches a step"),
        pytest.param("ab^^.cd^^.e|^.", [[0, 1], [2, 3], [4]], id="a pass that ends with a part of a step"),
        pytest.param("abcd^^.ab^^.", [[2, 3], [0, 1]], id="after a fast-forward"),
    ],
)
def test_batches_that_are_received_together_are_trained_on_together(word: str, steps: list[list[int]]) -> None:
    """A trainer may fetch all batches of a step before it trains on the first: none of them was discarded."""
    profile = LoopProfile(fetches_whole_steps=True)
    assert [[batch.indices[0] for batch in step.batches] for step in trace(process(word), profile).steps] == steps


@pytest.mark.parametrize(
    ("word", "fetches_whole_steps"),
    [
        pytest.param("ab^^.cd^^.", True, id="fetched together"),
        pytest.param("abcd^^.ab^^.cd^^.", True, id="after a fast-forward"),
        pytest.param("a^b^.c^d^.", False, id="fetched one by one"),
        pytest.param("a^.b^.", False, id="one batch a step"),
        pytest.param("abc^.d^.", False, id="a fast-forward"),
        pytest.param("a^^.b^^.", False, id="two backward passes a batch"),
    ],
)
def test_whether_batches_are_fetched_together_shows_in_most_steps(word: str, fetches_whole_steps: bool) -> None:
    """The first step of a process may follow a fast-forward, so it tells nothing."""
    assert profile_of([(0, process(word).records)]).fetches_whole_steps is fetches_whole_steps


@pytest.mark.parametrize(("scales", "shown"), [((4.0, 4.0), (0.125, 0.125)), ((None, 4.0), (0.5, 0.5))])
def test_a_loss_is_shown_as_the_job_knows_it(scales: tuple[float | None, float], shown: tuple[float, float]):
    """Without what a gradient scaler multiplied it by, where that is one number; it is compared as it was recorded."""
    left, whole = iter(scales), process("a^b^.")
    records = tuple(
        msgspec.structs.replace(one, scale=next(left)) if isinstance(one, Backward) else one for one in whole.records
    )
    [step] = trace(msgspec.structs.replace(whole, records=records), LoopProfile()).steps
    assert (step.losses, step.unscaled_losses) == ((0.5, 0.5), shown)
