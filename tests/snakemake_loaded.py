"""What a run of Snakemake loads, and computes of the code as it is, before it plans anything."""

import gc
import re
from pathlib import Path

import smart_open  # noqa: F401
import snakemake.cli
import snakemake.report.html_reporter  # noqa: F401

import methmix.files.reference
import methmix.workflow  # noqa: F401
from methmix.provenance import source_digest

for _rules in (Path(__file__).parents[1] / "workflow/rules").glob("*.smk"):
    for _entry, _command in re.findall(r'source_digest\("([\w.]+)"(?:, "([\w-]+)")?\)', _rules.read_text()):
        source_digest(_entry, _command)

# A collection looks at all objects, and so copies the memory of the forked process that they are in.
gc.collect()
gc.freeze()
