from hypothesis import settings

pytest_plugins = ["pytester"]

# Two cores are shared by all tests: a deadline would time the machine, not the code.
settings.register_profile("tests", deadline=None, max_examples=60)
settings.load_profile("tests")
