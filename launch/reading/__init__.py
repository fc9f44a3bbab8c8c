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
    saves                what each process saved, when it was whole and where it lies
    aftermath            what became of it: who read, damaged, removed or renamed it
    whole_checkpoints    of which of that all parts were there
    handovers            which of that a process has read, known by its content
    group_states         what ranks had, at a save or before their first step
    start_states         the state that a process began with, beside the one that was saved
    expected_artefacts   what the uninterrupted runs save
    artefact_comparison  what a run saved, set beside that

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
    dealt_batches        what batches held of which it says enough to know them by a digest
    occurrences          where and when a step, a batch or a sample was trained on

While it runs:
    live_progress        how far the ranks are
"""
