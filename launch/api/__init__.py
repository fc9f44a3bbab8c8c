"""What Python code and pytest use: `Launcher`, `Fault`, results."""
