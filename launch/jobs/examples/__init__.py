"""Training scripts to start from, each whole, resuming exactly; `resumable example NAME` prints one."""
