"""The made-up run, made once for all tests of the report."""

import importlib.util
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def made_up():
    """The module `made_up_run` beside this file."""
    spec = importlib.util.spec_from_file_location("made_up_run", Path(__file__).with_name("made_up_run.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def tables(made_up):
    """Tables of the made-up run by schema."""
    return made_up.make_tables()
