"""Real COCO pictures and a real detector, which lie beside the checkout where the project is developed."""

from pathlib import Path

import pandas as pd
import pytest
import yaml
from tests.workflow.conftest import REPOSITORY

SHARED = REPOSITORY.parent / "shared"

pytestmark = [
    pytest.mark.shared,
    pytest.mark.skipif(
        not (SHARED / "coco-mini").is_dir(),
        reason="no ../shared/coco-mini beside this checkout",
    ),
]


@pytest.fixture
def configuration(checkout):
    """tests/config/nanodet.yaml, with the folder beside the original checkout."""
    values = yaml.safe_load((REPOSITORY / "tests/config/nanodet.yaml").read_text(encoding="utf-8"))
    values["data"]["root"] = str(SHARED / "coco-mini")
    values["tasks"]["detection"]["network"] = f"{SHARED / 'nanodet/nanodet.py'}:network"
    path = checkout.folder / "real.yaml"
    path.write_text(yaml.safe_dump(values), encoding="utf-8")
    return path.name


def quality(folder: Path, metric: str) -> float:
    scores = pd.read_parquet(folder / "results/nanodet/image_coding/scores/detection/none/uncompressed.parquet")
    return scores.set_index("metric")["quality"][metric]


def test_uncompressed_ap_is_what_pycocotools_measured_elsewhere(checkout, configuration):
    target = "results/nanodet/image_coding/scores/detection/none/uncompressed.parquet"
    done = checkout.run(target, configuration=configuration)
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
    assert quality(checkout.folder, "AP") == pytest.approx(0.252, abs=1e-3)
    assert quality(checkout.folder, "AP50") == pytest.approx(0.404, abs=1e-3)


@pytest.mark.slow
def test_both_studies_run_on_real_pictures(checkout, configuration):
    done = checkout.run(configuration=configuration)
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
    tables = checkout.folder / "results/nanodet/tables"
    correlation = pd.read_parquet(tables / "idse_correlation.parquet")
    assert (correlation["pearson"] > 0.5).all()
    curves = pd.read_parquet(tables / "curves.parquet")
    coded = curves[(curves["metric"] == "AP") & (curves["scheme"] != "uncompressed")]
    assert set(coded["codec"]) == {"x264", "x265", "kvazaar", "vvenc"}
    assert coded["quality"].max() < quality(checkout.folder, "AP") + 0.03
