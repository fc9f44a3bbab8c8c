"""The lines of evidence that a rank leaves behind, and their encoding.

Each process of the job writes one file, each event one JSON line. A line is written with a single `write(2)`, so what
was written survives SIGKILL and only the last line of a file can be torn. `sequence` counts the lines of a file from 0
without a gap: a lost line shows. `time_ns` is CLOCK_MONOTONIC, for durations on one machine; it decides no order.

It is long because the whole format of a rank's file stands here, and nothing else: the page about it is made from it.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from resumable.launch.evidence.fingerprints import Fingerprint
from resumable.launch.evidence.index_text import indices_of
from resumable.launch.evidence.node_records import Ordinal
from resumable.launch.system.environment import Keep
from resumable.launch.system.safe_io import decoded, encoded

FORMAT_VERSION = 1
FIRST_INPUT = 1_000
"""Loaders are numbered from 0; from here on they are inputs of models, which no loader delivered."""

Index = int | str
"""One sample: its index in the data set, or the `repr` of a key that is no integer."""
Figure = int | float | str
"""A number; of a tensor of whole numbers its fingerprint, of many numbers one word for all, of an infinite one its name."""
Settings = dict[str, dict[str, list[Figure]]]
"""What optimizers make their steps with: by the name of an optimizer's first parameter ("" if no module has it) and by
setting, one value for each of its groups; under `frozen` the names of its parameters that get no gradient."""
Writer = Literal["loop", "torch", "thread"]
"""Who writes a checkpoint: the training loop, which waits for it; torch in the background, which is handed the state as it
is at that moment; or another thread of the job, whose state may be older."""
Moment = Literal["start", "save", "end"]
"""Of a process: before its first step; a save by the training loop, as it begins; the end of the script.

What forward passes and schedulers change is, at the start, as it was before the first backward pass: when the last batch
before it came."""
ExitReason = Literal["finished", "exception", "system_exit"]
"""system_exit: by `sys.exit` or `os._exit`."""


class Record(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", omit_defaults=True):
    """What every line carries."""

    sequence: int
    """Number of the line in its file, from 0 without a gap."""
    time_ns: int
    """CLOCK_MONOTONIC, in nanoseconds."""


class Start(Record, frozen=True, kw_only=True, tag="start"):
    """First line of a file: who writes it."""

    format: int
    """`FORMAT_VERSION` of the writer."""
    incarnation: Ordinal
    """Number of the worker group, from 0; every rank of one group has the same."""
    rank: Ordinal
    local_rank: int
    world_size: Ordinal
    node: Ordinal
    """Group rank of the node (its elastic agent) in this incarnation."""
    pid: int
    python: str
    torch: str
    host: str = ""
    """Name of the machine, or of the container; "" where the nodes say it."""
    group: str = ""
    """Drawn by the worker group, the same for all its ranks, where the ranks were started by somebody else: its number is
    then what stands in `lives/`."""
    keep: Keep = "samples"
    """What is kept of each batch."""


class Loader(Record, frozen=True, kw_only=True, tag="loader"):
    """A data loader was iterated that is new in this process, or looks new; those that look alike share a number."""

    loader: int
    dataset: str
    """Class of the data set."""
    num_samples: int | None = None
    """Length of the data set; None for an iterable one."""
    num_batches: int | None = None
    """Batches of a whole epoch on this rank, where the loader knows."""
    batch_size: int | None = None
    sampler: str = ""
    """Class of the sampler, or of the batch sampler where the user gave one."""
    drop_last: bool = False
    num_workers: int = 0
    prefetch_factor: int | None = None
    """Batches that each worker reads ahead; None without workers, and in evidence of earlier releases."""


class EpochBegin(Record, frozen=True, kw_only=True, tag="epoch_begin"):
    """A pass over a loader begins. `epoch` counts the passes of this loader in this process, from 0."""

    loader: int
    epoch: int
    sampler_epoch: int | None = None
    """What the sampler itself takes for its epoch (`sampler.epoch`), where it says."""
    sampler_state: dict[str, Any] | None = None
    """State at the start of the epoch, of a sampler that gives one (`sampler.epoch_state_dict()`, as ours do)."""


class EpochEnd(Record, frozen=True, kw_only=True, tag="epoch_end"):
    """A pass ran to its end: the loader raised `StopIteration`."""

    loader: int
    epoch: int
    num_batches: int


class Batch(Record, frozen=True, kw_only=True, tag="batch"):
    """The training loop received a batch; that it trained on it follows from the lines after this one."""

    loader: int
    epoch: int
    batch: int
    """Number of the batch in this pass, from 0."""
    indices: list[Index] | None = None
    """The samples in their order; None where the data set has no indices, or `samples` says them."""
    samples: str = ""
    """The samples as a shorter text, which a reader puts in the place of `indices`; `launch/evidence/index_text.py` says how
    to read it."""
    digest: str | None = None
    """Digest of the content, where it was asked for or there are no indices; of the samples in their order, where those
    are not kept."""
    grad_enabled: bool = True
    """Whether autograd was on when the loop received it; a loop that only evaluates turns it off."""


class Backward(Record, frozen=True, kw_only=True, tag="backward"):
    """A backward pass ended; or, in a process without any, a step was made with gradients that came in a different way."""

    loss: float | None = None
    """Value of the scalar that it started from, where that lay on the CPU."""
    scale: float | None = None
    """What a gradient scaler had multiplied the loss by to get it; None where none was seen to."""
    batches: list[int] | None = None
    """Lines (`sequence`) of the batches that the forward passes got to which it went back; None where nothing shows."""
    beside: list[int] = []
    """Lines of further batches that forward passes got since the backward pass before, to which it did not go back."""
    carries: bool = False
    """It was the first of its process, and added to gradients that were there already: they came with a checkpoint."""


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """How far a rank has come in one stream of epochs, since training began."""

    epoch: int
    num_batches: int
    """Batches of that epoch that training is past."""
    length: int | None = None
    """Batches of a whole epoch, where the loader says."""


class StepCount(msgspec.Struct, frozen=True, kw_only=True):
    """What one rank has done since training began, over all restarts, once a step is done."""

    num_steps: int
    num_batches: int
    """Batches that training is past: it used them, or looked at them and let them go."""
    epoch: int
    """Epoch of the last batch that was trained on."""
    epoch_batches: int
    """Batches of that epoch that training is past."""
    epoch_length: int | None = None
    """Batches of a whole epoch, where the loader says."""
    places: dict[int, Place] = {}
    """By loader, where several are trained on side by side."""


class Step(Record, frozen=True, kw_only=True, tag="step"):
    """An optimizer step is done."""

    step: int
    """Number of the step in this process, from 0. A second optimizer that steps after the same backward pass repeats the
    number: the last line of a number holds its final state."""
    before: str | None = None
    """Digest of the parameters before the step; only on the first step of a process, and on the first one after a save or a
    load."""
    after: str | None = None
    """Digest of the parameters after the step."""
    buffers: str | None = None
    """Digest of the buffers after the step (running statistics, for example), of rank 0, who saves for all; None without."""
    has_new_optimizer: bool = False
    """An optimizer had no state (momenta, for example) before the step, and has some after it."""
    scheduler_steps: int | None = None
    """What the learning-rate scheduler that was stepped most had counted before it (torch's `last_epoch`); None
    without."""
    learning_rate: float | None = None
    """The greatest of the optimizer's groups; None where nothing on the host says."""
    since_start: StepCount | None = None
    """Where this step stands since training began, where the worker could tell from earlier incarnations."""
    components: dict[str, Fingerprint] = {}
    """Quick fingerprints of the training state after the step: parameters, optimizer, buffers."""
    parameter_norm: float | None = None
    """Euclidean norm of the parameters' elements that the quick form takes, after the step."""
    settings: Settings = {}
    """What the optimizer was set to when it began: all on its first step in a process, later what is not as it was. The
    rate of an only group is the learning rate, and left out."""


class SkippedStep(Record, frozen=True, kw_only=True, tag="skipped_step"):
    """A gradient scaler found gradients that are not finite, and left the optimizer's step out."""


class LetGo(Record, frozen=True, kw_only=True, tag="let_go"):
    """The gradients of all backward passes since the last step were let go without one."""


class State(Record, frozen=True, kw_only=True, tag="state"):
    """What this process holds of the training state at one moment.

    Components: `parameters` that optimizers hold, by their names in the model; the `optimizer`'s state, by the names of its
    parameters; `buffers` that no other process will replace, in the quick form; `schedulers`; `scaler`; `random`, by
    generator; `gradients`, while a window of accumulation is open. At saves and at the start also what is `untrained`:
    parameters that no optimizer holds or that get no gradient, and buffers of modules of which nothing is trained; `unsaved`
    buffers, that are in no `state_dict()`.
    """

    moment: Moment
    components: dict[str, dict[str, Fingerprint]]
    """By component and by name; of parameters and optimizer every element counts, of what is untrained or unsaved those
    of the quick form."""
    quick: dict[str, Fingerprint] = {}
    """The quick form, by component, as the steps have it. At the start, `buffers` are there, be it empty, if they were seen
    before the first forward pass and no other process replaces them in it."""
    settings: Settings = {}
    """What the optimizers that train are set to, at saves, rates included."""


class Save(Record, frozen=True, kw_only=True, tag="save"):
    """A checkpoint is written. `path` is "" where the target has no name (a buffer)."""

    path: str
    phase: Literal["begin", "end"]
    content: dict[str, str] = {}
    """Fingerprints of the tensors and arrays of floating-point numbers that are saved, every element of them, as one word
    for each key under which they lie; on "begin" only."""
    writer: Writer = "loop"
    """On "begin" only."""
    fingerprints: dict[str, Fingerprint] = {}
    """Of all that is saved, every element of it, by the keys of its outermost mapping; under "" where there is none, or
    where it has many keys; on "begin" only."""
    figures: dict[str, Figure] = {}
    """Numbers that stand by themselves in what is saved, and tensors and arrays of whole numbers, by key path; not bytes,
    text, or the state of a generator; on "begin" only."""


class Dump(Record, frozen=True, kw_only=True, tag="dump"):
    """A file of the job's own is written by `pickle.dump`, `json.dump` or NumPy, and is no part of a checkpoint.

    It lies below the directory in which the job began. What is large is recorded without its content.
    """

    path: str
    phase: Literal["begin", "end"]
    content: dict[str, str] = {}
    """As of a save."""
    writer: Writer = "loop"
    """On "begin" only."""
    figures: dict[str, Figure] = {}
    """As of a save."""


class Rename(Record, frozen=True, kw_only=True, tag="rename"):
    """A file was renamed or moved into place."""

    source: str
    target: str
    writer: Writer = "loop"


class Copy(Record, frozen=True, kw_only=True, tag="copy"):
    """What this process had saved was copied or linked, a file or a folder: it is there under both names."""

    source: str
    target: str


class Remove(Record, frozen=True, kw_only=True, tag="remove"):
    """A file or folder below the directory in which the job began was removed."""

    path: str


class Load(Record, frozen=True, kw_only=True, tag="load"):
    """A checkpoint was read. `path` is "" where the source has no name (a buffer)."""

    path: str
    fingerprints: dict[str, Fingerprint] = {}
    """Of what was read, as of what is saved; left out where no save of this job had such keys."""


class Superseded(Record, frozen=True, kw_only=True, tag="superseded"):
    """Rank 0 of a worker group that somebody else started has seen that a later group of the job has begun."""

    life: int
    """Number of that group."""


class FaultFired(Record, frozen=True, kw_only=True, tag="fault"):
    """A fault is about to act; written and synced before it does."""

    fault: int
    """Number of the fault in the plan."""
    kind: str
    path: str = ""
    """The file that it damages, which may be one of a checkpoint's, or the checkpoint whose writing it spoils."""
    pid: int | None = None
    """The loader worker that it kills."""


class FaultRefused(Record, frozen=True, kw_only=True, tag="refused"):
    """A file that a fault would have damaged, and that it leaves alone."""

    fault: int
    """Number of the fault in the plan."""
    path: str
    why: Literal["it is a link", "it is not the run's own"]


class Error(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What ended a script, beside its message, which is for people."""

    type: str
    """The exception's class, with its module: `builtins.KeyError`."""
    module: str = ""
    """The module whose code raised it; "" where that is not known."""
    faults: tuple[int, ...] = ()
    """Numbers of the planned faults that raised it, or that it reports: as its cause, its context or in its arguments."""


class Exit(Record, frozen=True, kw_only=True, tag="exit"):
    """The script ended by itself; a process that was killed leaves no such line."""

    reason: ExitReason
    code: int = 0
    message: str = ""
    error: Error | None = None
    """None where no exception ended it."""
    parameters: str | None = None
    """Digest over every byte of the parameters that optimizers hold at the end."""


AnyRecord = (
    Start
    | Loader
    | EpochBegin
    | EpochEnd
    | Batch
    | Backward
    | Step
    | SkippedStep
    | LetGo
    | State
    | Save
    | Dump
    | Rename
    | Copy
    | Remove
    | Load
    | Superseded
    | FaultFired
    | FaultRefused
    | Exit
)

_encoder = msgspec.json.Encoder()
_decoder: msgspec.json.Decoder[AnyRecord] = msgspec.json.Decoder(AnyRecord)


def encode_line(record: Record) -> bytes:
    """One line, its newline included."""
    return encoded(_encoder.encode, record) + b"\n"


def decode_line(line: bytes) -> AnyRecord:
    """The record of one line.

    Raises:
        msgspec.DecodeError: the line is no JSON, or no record of this version (`ValidationError` is a subclass).
    """
    record = decoded(_decoder.decode, line)
    if isinstance(record, Batch) and record.samples:
        try:
            return msgspec.structs.replace(record, indices=indices_of(record.samples), samples="")
        except ValueError as error:
            raise msgspec.ValidationError(f"{error} - at `$.samples`") from error
    return record
