"""All pages of an experiment whose every name is an attack, in a folder that is one too: nothing runs, text is text."""

import csv
import os
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote, urlparse

import numpy as np
import pytest
import yaml
from experiments import counts_table
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from methmix import seeds
from methmix.config.load import load_experiment
from methmix.files.reference import read_reference
from methmix.mixtures.sampler import MixtureSampler

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.long, pytest.mark.timeout(3600)]

SCRIPT = "<script>window.pwned=1;alert(1)</script>"
# One kind of attack for each tissue; the first is the background. The words at the end are looked for.
TISSUES = [
    "Blood",
    f"\"'>{SCRIPT}</td></style> angle",
    "<img src=x data-pwned onerror=window.pwned=1> image",
    r"$\frac{$ mathtext",
    "`touch pwned` $(touch pwned); touch pwned #\u202e shell",
    "../../../../tmp/pwned path",
    "{{ 7*7 }} {% raw %} {wildcards.name!r} %s template",
    "long " + 295 * "x",
]
SAMPLE, PATIENT = f"$(touch pwned) '{SCRIPT}\" sample", f'../../"{SCRIPT} \u202e$\\frac{{$ patient'
GROUP, BATCH = f"{SCRIPT} case", "$x_{ `touch pwned` batch"
# What a browser may be asked for: the page itself, and what is in it.
LOCAL = {"file", "data", "blob", "about"}


@pytest.fixture(scope="module")
def results(tmp_path_factory, checkout_in):
    checkout = tmp_path_factory.mktemp("hostile") / "it's a $(touch pwned) <b>"
    checkout.mkdir()
    checkout_in(checkout)
    (checkout / "config/hostile.yaml").write_text(yaml.safe_dump(experiment()))
    (checkout / "config/one.yaml").write_text(yaml.safe_dump(SWEEP))
    asked = ("--configfile", "config/hostile.yaml")
    run(checkout, "results/hostile/reference/reference.h5", *asked)
    write_samples(checkout)
    for target in ("compare_phase2", "detection_limit", "robustness", "predict", "sweep_phase2"):
        run(checkout, target, *asked)
    folder = checkout / "results/hostile"
    spikes = [sys.executable, "-m", "methmix.spikes", "--config", "config/hostile.yaml", "--repeats", "1"]
    spikes += ["--reference", folder / "reference/reference.h5", "--output", folder / "spikes"]
    spikes += ["--checkpoint", folder / "phase2/sparse/checkpoints/checkpoint_best.pt"]
    done = subprocess.run(spikes, cwd=checkout, env={**os.environ, "PYTHONPATH": "src"}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder


def run(checkout, *arguments):
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    command = [sys.executable, "-m", "snakemake", *arguments]
    done = subprocess.run(command, cwd=checkout, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]


SWEEP = {"seeds": 1, "search": {"kind": "list", "points": [{"loss.presence_weight": 2.0}]}}


def experiment():
    """As config/tiny.yaml, with other names."""
    reference = {"tissues": {f"group {SCRIPT}": TISSUES[:4], "$\\frac{$ ../": TISSUES[4:]}}
    return {
        "base": "tiny.yaml",
        "name": "hostile",
        "reference": {**reference, "licence": SCRIPT, "terms_of_use": f"{SCRIPT} $(touch pwned)"},
        "prediction": {
            "samples": "config/$(touch pwned) sheet.tsv", "checkpoint_phase": "phase2", "control_group": "Control",
            "background": ["Blood"], "genome": None, "explain": True,
        },
        "evaluation": {"look_alikes": {f"alike {SCRIPT}": TISSUES[1:3]}},
        "sweep": "config/one.yaml",
        "overrides": {"training.epochs": 2},
    }  # fmt: skip


def write_samples(checkout):
    """Write controls, and cases of one patient, each name of which is an attack."""
    reference = read_reference(checkout / "results/hostile/reference/reference.h5")
    recipe = load_experiment(checkout / "config/tiny.yaml").mixtures.recipes["phase3"]
    sampler, rng = MixtureSampler(reference, "test", recipe, [60]), seeds.generator(3, "hostile samples")
    truth = np.zeros((26, len(TISSUES)), dtype=np.float32)
    truth[:, reference.tissue_names.index("Blood")] = 1
    truth[22:, reference.tissue_names.index(TISSUES[1])] = 0.3
    truth /= truth.sum(axis=1, keepdims=True)
    name = "`touch pwned` '\"$(touch pwned) ;&|*?.tsv"
    counts_table(reference, sampler.mix(truth, np.array([60.0]), rng), checkout / name)
    rows = [(f"control {row}", name, "", "", f"S{row}", "Control", BATCH) for row in range(22)]
    rows += [(f"{SAMPLE} {row}", name, PATIENT, f"2026-01-{row}", f"S{row}", GROUP, BATCH) for row in range(22, 26)]
    columns = ("sample", "file", "patient", "date", "name_in_file", "group", "batch")
    with (checkout / "config/$(touch pwned) sheet.tsv").open("w") as file:
        csv.writer(file, delimiter="\t", lineterminator="\n").writerows([columns, *rows])


def test_nothing_is_run_or_written_elsewhere(results):
    top = results.parents[2]
    assert not [path for path in top.rglob("*") if path.name.startswith("pwned")]
    assert not Path("pwned").exists() and not Path("/tmp/pwned path").exists()
    assert {path.name for path in top.iterdir()} == {"it's a $(touch pwned) <b>"}


# Page, and the words of names that it must show.
PAGES = {
    "reference/reference_report.html": ("angle", "image", "mathtext", "shell", "path", "template", "long"),
    "phase2/comparison/report.html": ("angle", "image", "mathtext", "shell", "path", "template", "long"),
    "phase2/detection/detection.html": ("angle", "mathtext"),
    "phase2/robustness/report.html": (),
    "phase2/sweep/one/sweep.html": (),
    "spikes/report.html": (),
    "prediction/predictions.html": ("angle", "mathtext", "shell", "sample", "patient", "case"),
    "prediction/predictions_patients": ("angle", "sample", "patient"),
}


@pytest.mark.parametrize("page", PAGES)
def test_a_page_in_a_browser(results, browser, page):
    path = results / page
    if path.is_dir():
        (path,) = path.glob("*.html")
    context = browser.new_context()
    context.set_default_timeout(300_000)
    tab, dialogs, asked, errors = context.new_page(), [], [], []
    tab.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    tab.on("request", lambda request: asked.append(request.url))
    tab.on("pageerror", lambda error: errors.append(str(error)))
    tab.goto(path.as_uri())
    tab.wait_for_timeout(500)
    # Whatever can be clicked without leaving the page.
    for button in tab.locator("button:visible, summary:visible, input[type=checkbox]:visible").all()[:12]:
        button.click(timeout=2000)
    tab.wait_for_timeout(300)
    text = tab.locator("body").evaluate("body => body.textContent")
    assert not tab.evaluate("window.pwned") and not dialogs and not errors
    assert tab.locator("[data-pwned], [onerror], img[src=x]").count() == 0
    files = [unquote(urlparse(url).path) for url in asked if urlparse(url).scheme == "file"]
    assert {urlparse(url).scheme for url in asked} <= LOCAL and set(files) == {str(path)}
    missing = [word for word in PAGES[page] if word not in text]
    assert not missing
    assert "49 " not in tab.title()
    context.close()


def test_what_is_injected_would_not_run(results, browser, tmp_path):
    """Were text in a page not escaped, the policy of the page would still stop it."""
    page = (results / "phase2/comparison/report.html").read_text()
    attack = f'{SCRIPT}<img src=x onerror="window.pwned=1"><img src="http://127.0.0.1:9/leak">'
    (tmp_path / "page.html").write_text(page.replace("</h1>", f"</h1>{attack}", 1))
    context = browser.new_context()
    context.set_default_timeout(300_000)
    tab, answers = context.new_page(), []
    tab.on("dialog", lambda dialog: (answers.append("dialog"), dialog.dismiss()))
    tab.on("response", lambda response: answers.append(response.url))
    tab.on("requestfailed", lambda request: answers.append((request.url, request.failure)))
    tab.goto((tmp_path / "page.html").as_uri())
    tab.wait_for_timeout(500)
    assert not tab.evaluate("window.pwned") and "dialog" not in answers
    leaks = [answer for answer in answers if "leak" in str(answer)]
    assert all(isinstance(answer, tuple) and "csp" in answer[1].lower() for answer in leaks)
    context.close()


def test_tensorboard_has_the_pictures(results):
    events = EventAccumulator(str(results / "phase2/sparse/logs/tensorboard"))
    events.Reload()
    assert "validation/miami" in events.Tags()["images"]
