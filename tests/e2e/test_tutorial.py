"""The commands of the tutorial, one after the other, in a fresh copy of the checkout."""

import gzip
import http.server
import json
import os
import re
import subprocess
import sys
import threading
import urllib.parse
from pathlib import Path

import pandas as pd
import pytest

from methmix.reference.public_files import PUBLIC_FILES

ROOT = Path(__file__).parents[2]
pytestmark = [pytest.mark.e2e, pytest.mark.data, pytest.mark.slow, pytest.mark.long]


@pytest.fixture
def mirror(data_file):
    """Serve the published files on loopback."""
    content = {urllib.parse.urlsplit(file.url()).path: data_file(file.name) for file in PUBLIC_FILES}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = content[self.path]
            plain = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
            self.send_response(200)
            self.send_header("Content-Length", str(len(plain)))
            self.end_headers()
            self.wfile.write(plain)

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


def test_every_command_of_the_tutorial(tmp_path, checkout_in, mirror):
    checkout = checkout_in(tmp_path)
    proxies = ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY", "METHMIX_DATA")
    environment = {name: value for name, value in os.environ.items() if name not in proxies}
    environment |= {
        "METHMIX_MIRROR": mirror,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(checkout / "src"),
    }
    commands = re.findall(r"```bash\n(.*?)```", (ROOT / "docs" / "tutorial.md").read_text(), flags=re.DOTALL)
    assert len(commands) == 8
    printed = []
    for command in commands:
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", command],
            cwd=checkout, env=environment, capture_output=True, text=True, timeout=1800,
        )  # fmt: skip
        assert done.returncode == 0, f"{command}\n{done.stderr[-4000:]}"
        printed.append(done.stdout)
    results = checkout / "results"
    for name in ("reference/reference_report.html", "phase3/comparison/report.html", "prediction/predictions.html",
                 "spikes/report.html"):  # fmt: skip
        assert (results / "metdecode_294" / name).stat().st_size > 10_000, name
    assert "For research use only" in printed[3] and "neutrophil" in printed[3]
    of_sheet, of_file = (
        pd.read_csv(path) for path in (results / "metdecode_294/prediction/predictions.csv", results / "mine.csv")
    )
    assert of_sheet["sample"].nunique() == of_file["sample"].nunique() == 186
    assert (of_sheet.groupby("sample")["proportion"].sum() - 1).abs().max() < 1e-6
    record = json.loads((results / "metdecode_294/prediction/predictions.json").read_text())
    groups = {group["group"]: group for group in record["groups"]["groups"]}
    assert groups["Control"]["mean"]["model"] < groups["Control"]["mean"]["nnls"]
    for kind in ("Breast", "Colorectal", "Ovarian"):
        # Cancer is told from controls no worse than by NNLS: the paired interval is not below 0.
        assert groups[kind]["model_minus_nnls"]["ci95"][1] > 0, kind
        assert groups[kind]["auc"]["model"]["estimate"] > 0.5, kind
    assert record["normals"]["n_controls"] == 93 and record["normals"]["mean_sum"] < 0.02
    # The file of all samples and the sheet are compared with the same controls.
    pd.testing.assert_series_equal(
        *(table.set_index(["sample", "tissue"])["proportion"].sort_index() for table in (of_sheet, of_file)),
        rtol=1e-4,
        atol=1e-5,
    )
    spikes = json.loads((results / "metdecode_294/spikes/spikes.json").read_text())
    five, ten = (spikes["spikes"].index(amount) for amount in (0.05, 0.1))
    called = {name: values["called_95"] for name, values in spikes["methods"].items()}
    assert called["sparse_normals"][0] < 0.1
    assert called["sparse_normals"][five] > 0.4 and called["sparse_normals"][ten] > 0.9
    assert called["sparse_normals"][ten] > max(called[name][ten] for name in ("sparse", "nnls", "em", "qp_replicates"))
    blood = of_sheet[~of_sheet["tissue"].str[0].str.isupper() & of_sheet["sample"].str.startswith("Control")]
    assert blood.groupby("sample")["proportion"].sum().mean() > 0.9
