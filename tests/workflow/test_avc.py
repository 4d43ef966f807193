"""Our AVC encoder in the workflow: by squared error and guided by sketches that do not judge it."""

import pandas as pd
import pytest
import yaml

from cfm.codecs.pack import read_pack
from cfm.sensitivity.sketch_file import load_sketch, sketched_ids

RESULTS = "results/guided/image_coding"


@pytest.fixture
def configuration(checkout):
    """The tiny configuration with our encoder for its only codec."""
    values = yaml.safe_load((checkout.folder / "tests/config/tiny.yaml").read_text(encoding="utf-8"))
    values["run"] = "guided"
    values["image_coding"]["codecs"] = {"avc": {"points": [39, 45], "rdo": ["sse", "idse"], "delta_qp": [-2, 0, 2]}}
    values["image_coding"]["anchor"] = "avc"
    del values["distillation"]
    path = checkout.folder / "guided.yaml"
    path.write_text(yaml.safe_dump(values), encoding="utf-8")
    return path.name


def test_both_distortions_are_coded_and_judged_by_other_probes(checkout, configuration):
    targets = [f"{RESULTS}/results/detection/avc/{rdo}/45/0000.distances.parquet" for rdo in ("sse", "idse")]
    done = checkout.run(*targets, configuration=configuration)
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
    folder = checkout.folder / RESULTS
    tables = [pd.read_parquet(checkout.folder / target) for target in targets]
    assert all((table["feature_distance"] > 0).all() for table in tables)
    packs = [read_pack(folder / f"streams/avc/{rdo}/45/0000.zip") for rdo in ("sse", "idse")]
    assert all(packs[0][name] != packs[1][name] for name in packs[0])
    guide, judge = (folder / role / "detection/0000.npz" for role in ("guide", "sketch"))
    for image_id in sketched_ids(judge):
        assert (load_sketch(guide, image_id).y != load_sketch(judge, image_id).y).any()
