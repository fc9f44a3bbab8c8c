"""The part that runs inside a rank: it watches the user's script and lets the planned faults happen."""
