"""The commands of `resumable`: each takes parsed arguments and a console and returns an exit code."""
