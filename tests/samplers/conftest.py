"""Settings shared by the tests of samplers."""

from hypothesis import settings

# Two cores are shared with the launcher's tests: a deadline would time the machine, not the code.
settings.register_profile("samplers", deadline=None, max_examples=60)
settings.load_profile("samplers")
