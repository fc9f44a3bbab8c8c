"""The operating system: environment, safe files, processes, signals, text made safe. Nothing here knows of jobs."""
