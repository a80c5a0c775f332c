"""The tables. One module for each subject; import models from here."""

from .conversations import *  # noqa: F403
