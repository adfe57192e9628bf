"""Settings that hold for every test."""

from hypothesis import settings

# No test asserts a time: a busy machine must not fail one. Examples are the same on every run.
settings.register_profile("stillwatch", deadline=None, derandomize=True)
settings.load_profile("stillwatch")
