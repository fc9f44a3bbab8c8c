"""From lines to what was trained on.

The way of a batch:
    trajectory           what one process trained on, step by step
    trained              one batch, and one step
    step_table           the steps of one process as columns of numbers
    steps                steps of several processes, cut and joined
    resume               at which step a process went on
    parameter_places     after how many steps the job had which parameters
    lockstep             how the ranks' counts of steps go together
    epoch_shift          in which epoch a process went on
    reindexing           on which samples, if it went on with a part of its data set
    timeline             the processes of each rank, put one after another by all of these
    lives                what comes of it: a run, its ranks, their processes, the faults that hit them
    evidence             everything that a check may look at

What was saved, and read again:
    checkpoints          which files there were, and which of them a process could have gone on from
    saves                what was saved, known again by its content where it was read
    start_states         the state that a process began with, beside the one that was saved
    handovers            which save a process has read, for the report
    artefacts            every save under its last name
    expected_artefacts   what the uninterrupted runs save
    artefact_comparison  the two set side by side

How it ended:
    failures             by a fault or by itself, and who is to blame
    dismissal            ranks that were ended once they were done
    gaps                 attempts or hosts of which the evidence is missing

Side by side:
    differences          where two sequences part
    repeatability        whether the uninterrupted run repeats its own numbers
    arbiter              whether the state shows that no batch was wrong
    epoch_samples        how often each sample was trained on in an epoch
    global_stream        the ranks' batches as one stream
    described_order      the order that the job's sampler described itself
    occurrences          where and when a step, a batch or a sample was trained on

While it runs:
    live_progress        how far the ranks are
"""
