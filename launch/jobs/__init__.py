"""Training jobs that come with the launcher, written as any user would write them."""
