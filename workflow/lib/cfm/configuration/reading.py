"""Reading and checking of a configuration, with errors in one line."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from cfm.configuration.sections import Section
from cfm.configuration.whole import Configuration
from cfm.errors import ConfigurationError


def parse_configuration(values: dict[str, Any], name: str = "the configuration") -> Configuration:
    """Check a configuration.

    Parameters
    ----------
    values : dict
        What the YAML file and the command line gave.
    name : str
        The file's name, for messages.

    Raises
    ------
    ConfigurationError
        One line with the key, what is wrong, and for a misspelt key the nearest known one.
    """
    try:
        return Configuration.model_validate(values)
    except ValidationError as error:
        raise ConfigurationError(f"{name}: {explain(error)}") from None


def explain(error: ValidationError) -> str:
    """The first problem of a failed validation, in one line."""
    first = min(error.errors(), key=lambda problem: problem["type"] != "extra_forbidden")
    where = ".".join(str(part) for part in first["loc"])
    more = f" ({error.error_count() - 1} more problems)" if error.error_count() > 1 else ""
    if first["type"] == "extra_forbidden":
        near = difflib.get_close_matches(str(first["loc"][-1]), known_keys(), n=1, cutoff=0.6)
        hint = f"; did you mean {near[0]!r}?" if near else "; config/README.md lists the keys"
        return f"unknown key {where!r}{hint}{more}"
    if first["type"] == "missing":
        return f"the key {where!r} is missing; config/README.md describes it{more}"
    message = first["msg"].removeprefix("Value error, ")
    given = "" if isinstance(first["input"], dict) or not where else f" (given: {first['input']!r})"
    return f"{where + ': ' if where else ''}{message}{given}{more}"


def known_keys() -> list[str]:
    """Every key of every section."""
    return sorted({key for section in sections() for key in section.model_fields})


def sections() -> list[type[Section]]:
    """All sections, in the order in which they are defined."""
    return Section.__subclasses__()


def read_configuration(path: Path | str) -> Configuration:
    """Read and check a YAML file.

    Raises
    ------
    ConfigurationError
        If the file is absent, not YAML, or does not fit.
    """
    try:
        values = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}; name an existing configuration file") from None
    except yaml.YAMLError as error:
        raise ConfigurationError(f"{path}: not YAML ({error}); mend the file") from None
    if not isinstance(values, dict):
        raise ConfigurationError(f"{path}: holds no mapping of keys; see config/demo.yaml")
    return parse_configuration(values, str(path))
