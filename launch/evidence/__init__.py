"""What lies on disk: records, the run directory, histories read back."""
