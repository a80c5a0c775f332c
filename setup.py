"""The folder `chat` as the package `nous_chat`: for that, pyproject.toml would have to list every folder in it."""

from setuptools import find_packages, setup

setup(
    package_dir={"nous_chat": "chat"}, packages=["nous_chat", *(f"nous_chat.{name}" for name in find_packages("chat"))]
)
