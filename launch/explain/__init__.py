"""Why a run differs from its reference: from facts to a cause.

What can be said:
    codes                 every problem and every reason, each with its sentence
    check_result          what a check answers: an outcome and violations
    outcome               VALID, INVALID, UNKNOWN, and their exit codes

What it is, as the facts show:
    first_wrong_epoch     the first pass over the data that is not as expected
    batch_order           how its batches differ, in a sampler's words
    wrong_place           how far it went on from its place, and in which unit that is
    interleaving          several streams of which only the choice is different
    common_order          how the order of all ranks together is different
    world_size            what a different number of ranks has changed
    state_difference      why losses, parameters or buffers are different
    start_difference      what became of the state that a process started from
    learning_rates        with which rates a process went on
    settings              with which other settings of its optimizers, and what frozen
    unusable_checkpoints  what became of checkpoints that could not be gone on from
    ranks_apart           whether the ranks of a group went on together

What accuses nobody:
    before_fault          what was so before anything was done to the job
    witnesses             what the job does at the same step elsewhere
"""
