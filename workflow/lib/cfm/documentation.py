"""The configuration's schema and its page, both written from the models in `cfm.configuration`.

`python -m cfm.documentation` writes them; with `--check` it tells whether they, and all configurations, are in order.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import yaml

from cfm.configuration.reading import read_configuration, sections
from cfm.configuration.sections import Section
from cfm.configuration.whole import Configuration
from cfm.errors import ConfigurationError, one_line_errors
from cfm.provenance import atomic_path

REPOSITORY = Path(__file__).resolve().parents[3]
SCHEMA = REPOSITORY / "workflow/schemas/config.schema.json"
AFTER_DEMO = ("retrain.yaml", "encoders.yaml", "learned.yaml")  # configurations that go after demo.yaml
PAGE = REPOSITORY / "config/README.md"
INTRODUCTION = """# Configuration

Every key of a configuration file, section by section. This page is written from the typed models in
`workflow/lib/cfm/configuration` (`make docs`), and so is `workflow/schemas/config.schema.json`, for editors.
Unknown keys are refused. Several files can be named after `--configfile`: later ones win, key by key.

| file | what it is for |
| --- | --- |
| `demo.yaml` | every stage on embedded synthetic scenes, in minutes on two cores; the default |
| `retrain.yaml` | put after `demo.yaml`: trains every model that the demo ships |
| `encoders.yaml` | put after `demo.yaml`: our own AVC and HEVC encoders with IDSE on the demo's scenes |
| `learned.yaml` | put after `demo.yaml`: ELIC and LIC-TCM for pictures and for features, beside the demo's codecs |
| `coco2017.yaml` | the papers' settings: COCO 2017, torchvision's ResNet-50-FPN networks |
| `imagenet.yaml` | classification of ImageNet's validation pictures by torchvision's ResNet-50 |

A codec, network or data set of your own needs no code here: name another folder, another factory, other points.
"""


def schema_text() -> str:
    """The JSON schema of a configuration."""
    return json.dumps(Configuration.model_json_schema(), indent=1, ensure_ascii=False) + "\n"


def page_text() -> str:
    """The page that describes every key."""
    listed = [section for section in reversed(sections()) if section.model_fields]
    return INTRODUCTION + "".join(section_text(section) for section in listed)


def section_text(section: type[Section]) -> str:
    """The table of a section's keys."""
    schema = section.model_json_schema()
    required = schema.get("required", [])
    rows = [
        f"| `{key}` | {type_text(value)} | {default_text(key, value, required)} | {value.get('description', '')} |\n"
        for key, value in schema["properties"].items()
    ]
    summary = (section.__doc__ or "").strip()
    return (
        f"\n## {section.__name__}\n\n{summary}\n\n| key | type | default | meaning |\n| --- | --- | --- | --- |\n"
        + "".join(rows)
    )


def type_text(value: dict[str, Any]) -> str:
    """The type of a key, with its limits, in words."""
    if "anyOf" in value:
        return " or ".join(type_text(option) for option in value["anyOf"])
    if "$ref" in value:
        name = value["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "enum" in value:
        return ", ".join(f"`{option}`" for option in value["enum"])
    if "const" in value:
        return f"`{value['const']}`"
    if value.get("type") == "array":
        return f"list of {type_text(value['items'])}"
    if value.get("type") == "object":
        inner = value.get("additionalProperties", value.get("patternProperties", {}))
        inner = next(iter(inner.values())) if isinstance(inner, dict) and "$ref" not in inner and inner else inner
        named = isinstance(inner, dict) and ("$ref" in inner or "type" in inner)
        return f"mapping to {type_text(inner)}" if named else "mapping"
    words = {"number": "number", "integer": "integer", "string": "text", "boolean": "true or false", "null": "absent"}
    return words.get(value.get("type", ""), "any") + limits_text(value)


def limits_text(value: dict[str, Any]) -> str:
    """Bounds of a number, in brackets."""
    signs = {
        "minimum": "≥",
        "exclusiveMinimum": ">",
        "maximum": "≤",
        "exclusiveMaximum": "<",
        "multipleOf": "multiple of",
    }
    limits = [f"{sign} {value[key]:g}" for key, sign in signs.items() if key in value]
    return f" ({', '.join(limits)})" if limits else ""


def default_text(key: str, value: dict[str, Any], required: list[str]) -> str:
    """The default of a key."""
    if key in required:
        return "needed"
    if "default" not in value:
        return "see section"
    return "absent" if value["default"] is None else f"`{json.dumps(value['default'])}`"


def check() -> None:
    """Raise ConfigurationError where a generated file is stale or a configuration does not fit the schema."""
    for path, text in ((SCHEMA, schema_text()), (PAGE, page_text())):
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            raise ConfigurationError(f"{path}: not what the models in cfm.configuration say; run `make docs`")
    for path in sorted([*REPOSITORY.glob("config/*.yaml"), *REPOSITORY.glob("tests/config/*.yaml")]):
        if path.name in AFTER_DEMO:
            merged = yaml.safe_load((REPOSITORY / "config/demo.yaml").read_text(encoding="utf-8"))
            Configuration.model_validate(merge(merged, yaml.safe_load(path.read_text(encoding="utf-8"))))
        else:
            read_configuration(path)
        print(f"{path.relative_to(REPOSITORY)}: fits the schema")


def merge(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """Two configurations in one as Snakemake merges them: key by key, the later one wins."""
    merged = dict(base)
    for key, value in over.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = merge(merged[key], value) if both else value
    return merged


def main() -> None:
    """Write the generated files, or check them."""
    with one_line_errors():
        if "--check" in sys.argv[1:]:
            check()
            return
        for path, text in ((SCHEMA, schema_text()), (PAGE, page_text())):
            with atomic_path(path) as temporary:
                temporary.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
