"""A real TensorBoard, and a real browser where one is installed, show what a training has written."""

import json
import shutil
import socket
import subprocess
import sys
import time
from urllib.parse import quote
from urllib.request import urlopen

import matplotlib.image
import numpy as np
import pytest
from experiments import ROOT
from matplotlib.colors import to_rgb

from methmix.arms import ARMS

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
RUN = "sparse/logs/tensorboard"
pytestmark = [pytest.mark.e2e, pytest.mark.slow]


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """TensorBoard of a dry run, on a free port of loopback."""
    folder = tmp_path_factory.mktemp("board")
    dry_run = [sys.executable, "-m", "methmix.training", "--config", "config/phase2_sparse.yaml", "--debug"]
    subprocess.run([*dry_run, "--output", str(folder / "sparse")], cwd=ROOT, check=True, capture_output=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "tensorboard.main", "--logdir", str(folder), "--host", "127.0.0.1"]
    with subprocess.Popen([*command, "--port", str(port)], stderr=subprocess.DEVNULL) as board:
        address = f"http://127.0.0.1:{port}"
        try:
            yield until_loaded(address)
        finally:
            board.terminate()


def until_loaded(address):
    for _ in range(1200):
        try:
            if get(address, "images/tags"):
                return address
        except OSError:
            pass
        time.sleep(0.5)
    pytest.fail("TensorBoard did not load the run within ten minutes")


def get(address, what):
    with urlopen(f"{address}/data/plugin/{what}", timeout=30) as answer:
        return json.load(answer)


def test_it_has_pictures_text_and_hyperparameters(address):
    images = get(address, "images/tags")[RUN]
    assert set(images) == {"validation/miami", "validation/largest_errors", "validation/presence_calibration"}
    (shown,) = get(address, f"images/images?run={quote(RUN, '')}&tag={quote('validation/miami', '')}&sample=0")
    with urlopen(f"{address}/data/plugin/images/individualImage?{shown['query']}", timeout=30) as picture:
        assert picture.read().startswith(b"\x89PNG")
    text = get(address, "text/tags")[RUN]
    assert set(text) == {"configuration/text_summary", "diagnosis/text_summary"}
    assert "val/mae" in get(address, "scalars/tags")[RUN]


@pytest.mark.skipif(BROWSER is None, reason="no browser is installed")
def test_a_browser_shows_the_pictures(address, tmp_path):
    path = tmp_path / "images.png"
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--window-size=1400,1000", "--virtual-time-budget=25000"]
    page = f"{address}/#images"
    subprocess.run([BROWSER, *options, f"--screenshot={path}", page], check=True, capture_output=True, timeout=600)
    pixels = matplotlib.image.imread(path)[:, :, :3]
    # The bars of the pictures have the colour of the arm.
    of_arm = np.abs(pixels - to_rgb(ARMS["sparse"].colour)).max(axis=2) < 0.02
    assert of_arm.sum() > 2000
