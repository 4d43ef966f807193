"""Our encoders in the workflow: by squared error and guided by sketches that do not judge them."""

import pandas as pd
import pytest
import yaml

from cfm.codecs.pack import read_pack
from cfm.sensitivity.calibration import load_calibration
from cfm.sensitivity.sketch_file import load_sketch, sketched_ids

RESULTS = "results/guided/image_coding"
CODECS, SCHEMES = ("avc", "hevc"), ("sse", "idse_dqp", "idse_sketch")


@pytest.fixture
def configuration(checkout):
    """The tiny configuration with our encoders for its only codecs."""
    values = yaml.safe_load((checkout.folder / "tests/config/tiny.yaml").read_text(encoding="utf-8"))
    values["run"] = "guided"
    settings = {"points": [39, 45], "rdo": list(SCHEMES)}
    values["image_coding"]["codecs"] = dict.fromkeys(CODECS, settings)
    values["image_coding"]["anchor"] = "avc"
    values["image_coding"]["calibration"] = {"pictures": 3, "split": "test2017"}
    del values["distillation"]
    path = checkout.folder / "guided.yaml"
    path.write_text(yaml.safe_dump(values), encoding="utf-8")
    return path.name


def test_schemes_are_coded_and_judged_by_other_probes(checkout, configuration):
    curves = [f"{codec}/{scheme}" for codec in CODECS for scheme in SCHEMES]
    distances = [f"{RESULTS}/results/detection/{curve}/0000.distances.parquet" for curve in curves]
    targets = [*distances, *(f"{RESULTS}/bit_shares/{codec}.parquet" for codec in CODECS)]
    targets += ["results/guided/tables/overhead.parquet", "results/guided/figures/coding_maps/avc.svg"]
    done = checkout.run(*targets, configuration=configuration)
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
    folder = checkout.folder / RESULTS
    tables = {curve: pd.read_parquet(checkout.folder / target) for curve, target in zip(curves, distances, strict=True)}
    assert all((table["feature_distance"] > 0).all() for table in tables.values())
    assert all(sorted(table["point"].unique()) == [39, 45] for table in tables.values())
    guided = {curve: table["idse_seen"].notna().all() for curve, table in tables.items()}
    assert guided == {curve: "idse" in curve for curve in curves}
    packs = [read_pack(folder / f"streams/{curve}/45/0000.zip") for curve in curves]
    assert all(len({pack[name] for pack in packs}) == len(curves) for name in packs[0])
    judge = folder / "sketch/detection/0000.npz"
    for guide, probes in ((folder / f"guide_plain_{probes}/detection/0000.npz", probes) for probes in (2, 8)):
        for image_id in sketched_ids(judge):
            seen, unseen = load_sketch(guide, image_id), load_sketch(judge, image_id)
            assert seen.probes == probes
            assert (seen.y[:2] != unseen.y[:2]).any()
    calibration = load_calibration(folder / "calibration/detection/plain.npz")
    assert calibration.pictures == 3
    assert calibration.network_sha256 == load_sketch(judge, image_id).network_sha256
    made = sorted((checkout.folder / "results/guided/data/scenes").glob("*2017"))
    assert [path.name for path in made] == ["test2017", "val2017"]
    for codec in CODECS:
        shares = pd.read_parquet(folder / f"bit_shares/{codec}.parquet")
        assert list(zip(shares["scheme"], shares["point"], strict=True)) == [(s, p) for s in SCHEMES for p in (39, 45)]
        assert shares["bit_share"].between(0.01, 0.99).all()
        assert shares["area_share"].nunique() == 1
    overhead = pd.read_parquet(checkout.folder / "results/guided/tables/overhead.parquet").set_index("codec")
    for codec in CODECS:
        rows = overhead.loc[codec].set_index("scheme")
        assert rows.loc["sse", "encode_ratio"] == 1
        assert rows["sketch_s"].notna().to_dict() == {scheme: "idse" in scheme for scheme in SCHEMES}
        assert rows["guide_s"].notna().to_dict() == {scheme: scheme != "sse" for scheme in SCHEMES}
    assert checkout.pending(*targets, configuration=configuration) == set()
