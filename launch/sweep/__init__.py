"""`resumable sweep`: every point of a job's training is hit once, each in a run of its own, and each is judged."""
