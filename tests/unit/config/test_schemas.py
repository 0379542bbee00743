"""The committed JSON schemas are those of the code, and every key is described."""

import json

import pytest
from experiments import ROOT

from methmix.config.load import schema


@pytest.mark.parametrize("name", ["experiment", "arm", "ablation", "sweep"])
def test_schema_equals_the_code(name):
    stored = json.loads((ROOT / "workflow" / "schemas" / f"{name}.schema.json").read_text())
    assert stored == json.loads(json.dumps(schema(name))), (
        f"python -m methmix.config --schema {name} > workflow/schemas/{name}.schema.json"
    )


@pytest.mark.parametrize("name", ["experiment", "arm", "ablation", "sweep"])
def test_every_number_and_text_has_a_description(name):
    made = schema(name)
    for section_name, section in made["$defs"].items():
        for key, value in section.get("properties", {}).items():
            plain = value.get("type") in {"number", "integer", "string", "boolean", "array"} and "const" not in value
            if plain:
                assert value.get("description"), f"{section_name}.{key}"
