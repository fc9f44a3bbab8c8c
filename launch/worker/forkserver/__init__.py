"""What the fork server imports before it makes ranks."""
