"""The folder `chat` as the package `nous_chat`: pyproject.toml has no way to say that of a folder and all folders in it."""

from setuptools import find_packages, setup

setup(package_dir={"nous_chat": "chat"}, packages=["nous_chat", *(f"nous_chat.{name}" for name in find_packages("chat"))])
