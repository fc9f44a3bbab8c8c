"""Training jobs that go on with exactly the next batch: `resumable.samplers` and `resumable.launch`."""
