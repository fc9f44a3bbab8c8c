"""From lines to what was trained on."""
