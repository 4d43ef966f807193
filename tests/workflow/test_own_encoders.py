"""Our encoders in the workflow: by squared error and guided by sketches that do not judge them."""

import pandas as pd
import pytest
import yaml

from cfm.codecs.pack import read_pack
from cfm.sensitivity.sketch_file import load_sketch, sketched_ids

RESULTS = "results/guided/image_coding"
CODECS, SCHEMES = ("avc", "hevc"), ("sse", "idse")


@pytest.fixture
def configuration(checkout):
    """The tiny configuration with our encoders for its only codecs."""
    values = yaml.safe_load((checkout.folder / "tests/config/tiny.yaml").read_text(encoding="utf-8"))
    values["run"] = "guided"
    settings = {"points": [39, 45], "rdo": list(SCHEMES), "delta_qp": [-2, 0, 2]}
    values["image_coding"]["codecs"] = dict.fromkeys(CODECS, settings)
    values["image_coding"]["anchor"] = "avc"
    del values["distillation"]
    path = checkout.folder / "guided.yaml"
    path.write_text(yaml.safe_dump(values), encoding="utf-8")
    return path.name


def test_both_distortions_are_coded_and_judged_by_other_probes(checkout, configuration):
    curves = [f"{codec}/{scheme}" for codec in CODECS for scheme in SCHEMES]
    targets = [f"{RESULTS}/results/detection/{curve}/45/0000.distances.parquet" for curve in curves]
    done = checkout.run(*targets, configuration=configuration)
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
    folder = checkout.folder / RESULTS
    tables = [pd.read_parquet(checkout.folder / target) for target in targets]
    assert all((table["feature_distance"] > 0).all() for table in tables)
    packs = [read_pack(folder / f"streams/{curve}/45/0000.zip") for curve in curves]
    assert all(len({pack[name] for pack in packs}) == len(curves) for name in packs[0])
    guide, judge = (folder / role / "detection/0000.npz" for role in ("guide", "sketch"))
    for image_id in sketched_ids(judge):
        assert (load_sketch(guide, image_id).y != load_sketch(judge, image_id).y).any()
