"""The committed JSON schemas are those of the code, and every key is described."""

import json

import jsonschema
import pytest
from experiments import ROOT

from methmix.config.key_tables import readme
from methmix.config.load import SCHEMAS, schema
from methmix.errors import InputError
from methmix.samples.sample_sheet import read_sheet


@pytest.mark.parametrize("name", SCHEMAS)
def test_schema_equals_the_code(name):
    stored = json.loads((ROOT / "workflow" / "schemas" / f"{name}.schema.json").read_text())
    assert stored == json.loads(json.dumps(schema(name))), (
        f"python -m methmix.config --schema {name} > workflow/schemas/{name}.schema.json"
    )


@pytest.mark.parametrize("name", SCHEMAS)
def test_every_number_and_text_has_a_description(name):
    made = schema(name)
    for section_name, section in {"": made, **made.get("$defs", {})}.items():
        for key, value in section.get("properties", {}).items():
            plain = value.get("type") in {"number", "integer", "string", "boolean", "array"} and "const" not in value
            if plain:
                assert value.get("description"), f"{section_name}.{key}"


def test_the_command_names_every_schema():
    code = (ROOT / "src/methmix/config/__main__.py").read_text()
    assert str([*SCHEMAS]).replace("'", '"') in code


@pytest.mark.parametrize(
    ("row", "valid"),
    [
        ({"sample": "a", "file": "a.tsv"}, True),
        ({"sample": "a", "file": "a.tsv", "date": "2026-01-31", "group": "Control", "name_in_file": "x"}, True),
        ({"sample": "a", "file": "a.tsv", "date": ""}, True),
        ({"sample": "a"}, False),
        ({"sample": "a", "file": ""}, False),
        ({"sample": "a", "file": "a.tsv", "date": "31.1.2026"}, False),
        ({"sample": "a", "file": "a.tsv", "colour": "red"}, False),
    ],
)
def test_a_samples_sheet_is_valid_for_the_schema_where_it_is_for_the_code(tmp_path, row, valid):
    sheet = tmp_path / "samples.tsv"
    sheet.write_text("\t".join(row) + "\n" + "\t".join(row.values()) + "\n")
    if valid:
        jsonschema.validate(row, schema("samples"))
        assert read_sheet(sheet)[0].name == "a"
    else:
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(row, schema("samples"))
        with pytest.raises(InputError):
            read_sheet(sheet)


def test_the_readme_has_every_key_and_column():
    text = (ROOT / "config/README.md").read_text()
    assert text == readme(), "python -m methmix.config --readme > config/README.md"
    for name in SCHEMAS:
        made = schema(name)
        for section in [made, *made.get("$defs", {}).values()]:
            for key in section.get("properties", {}):
                assert f"| `{key}` |" in text, key
