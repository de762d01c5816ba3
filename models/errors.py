"""Exceptions that a person is meant to read."""


class UserError(Exception):
    """A mistake in what a person gave: its message names the file, the field and the remedy.

    Command-line entry points print the message alone, without a traceback, and exit with code 2.
    """


class DivergedError(UserError):
    """The loss stopped being a number. A search gives the trial up and goes on."""
