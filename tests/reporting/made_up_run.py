"""Tables of a run that never happened, in every schema that the report draws."""

from __future__ import annotations

from itertools import product

import numpy as np
import pandas as pd

from cfm.evaluation.comparison import bd_rate_table
from cfm.evaluation.correlation import correlation_table
from cfm.reporting.coding_figures import CodedMaps
from cfm.reporting.tables import checked, load_schema
from cfm.reporting.training_logs import Step, Training

CODECS = {"x264": (1.0, 0.0), "x265": (0.8, 0.01), "vvenc": (0.65, 0.01), "cheng2020-attn": (0.75, 0.0)}
WEIGHTINGS = {"none": (0.75, 0.0), "ground_truth": (0.72, 0.005), "objectness": (0.66, 0.01)}
SCHEMES = {"uniform": (1.0, 0.0), "mfiba": (0.85, 0.0), "saba": (0.97, 0.0)}
DECIDED = ("idse_dqp", "only_partition", "only_mode", "without_partition", "without_mode")
REPEATS = 40


def accuracy(rate, best=0.55):
    return best * (1 - 0.6 * np.exp(-4 * rate**0.6))


class Drawn:
    """Resampled scores, as `load_draws` gives them."""

    def __init__(self, curves, rng):
        self.identity = curves[["study", "task", "codec", "scheme", "point", "metric"]]
        factor = rng.normal(1, 0.04, REPEATS)
        self.rates_bpp = curves["rate_bpp"].to_numpy()[:, None] * factor
        noise = rng.normal(0, 0.004, (len(curves), REPEATS))
        self.qualities = curves["quality"].to_numpy()[:, None] * factor**0.5 + noise


def make_curves(rng):
    rows = []
    settings = [("image_coding", task, codec, "sse", *v) for task in ("detection",) for codec, v in CODECS.items()]
    settings += [("distillation", "detection", "cheng2020-attn", scheme, *v) for scheme, v in WEIGHTINGS.items()]
    for task, codec in product(("detection", "segmentation", "keypoints"), ("elic", "vvenc")):
        settings += [("feature_coding", task, codec, scheme, *v) for scheme, v in SCHEMES.items()]
    for study, task, codec, scheme, factor, gain in settings:
        for point, rate in enumerate(np.geomspace(0.08, 1.2, 5)):
            quality = accuracy(rate) + gain + rng.normal(0, 0.003)
            rows.append((study, task, codec, scheme, float(point), factor * rate, quality, factor * rate / 3))
    for study, task in sorted({setting[:2] for setting in settings}):
        rows.append((study, task, "none", "uncompressed", 0.0, 0.0, 0.56, np.nan))
    columns = ["study", "task", "codec", "scheme", "point", "rate_bpp", "quality", "packed_bpp"]
    frame = pd.DataFrame(rows, columns=columns)
    frame["size_bytes"] = (frame["rate_bpp"] * 1e5).astype(int)
    frame = frame.assign(pictures=48, metric="AP", encode_s=0.25, feature_distance=np.nan)
    frame["quality_low"], frame["quality_high"] = frame["quality"] - 0.04, frame["quality"] + 0.04
    return checked(frame, "curves", "made up")


def make_distances(rng):
    frames = []
    for codec, point in product(("x264", "x265", "vvenc"), (27, 32, 37)):
        true = rng.lognormal(2 + (point - 27) / 4, 0.8, 40)
        identity = {"study": "image_coding", "task": "detection", "codec": codec, "scheme": "sse", "point": point}
        values = {"image_id": range(40), "feature_distance": true, "idse": true * rng.lognormal(0.3, 0.4, 40)}
        values |= {"objectness_distance": true / 9, "idse_seen": None}
        frames.append(pd.DataFrame(identity | values | {"sse": true * 900, "psnr_y_db": 40.0 - point / 4}))
    return checked(pd.concat(frames), "distances", "made up")


def make_guided_distances(rng):
    """Of one encoder, squared error and guided by sketches of which it found the null space."""
    frames = []
    for (scheme, found), point in product({"sse": np.nan, "idse_sketch": 0.3, "idse": 0.9}.items(), (33, 41)):
        true = rng.lognormal(2 + (point - 33) / 4, 0.8, 40)
        identity = {"study": "image_coding", "task": "detection", "codec": "avc", "scheme": scheme, "point": point}
        values = {"image_id": range(40), "feature_distance": true, "idse": true * rng.lognormal(0.1, 0.4, 40)}
        values |= {"objectness_distance": true / 9, "idse_seen": found * true * rng.lognormal(0, 0.4, 40)}
        frames.append(pd.DataFrame(identity | values | {"sse": true * 900, "psnr_y_db": 40.0 - point / 4}))
    return checked(pd.concat([*frames, make_distances(rng)]), "distances", "made up")


def make_feature_tables(rng):
    """Tables loss_rate_points, loss_rate_fit, rate_phi_points, rate_phi_fit, importance and sensitivity_by_size."""
    tables = {name: [] for name in FEATURE_TABLES}
    weights = np.array([0.4, 0.3, 0.2, 0.1])
    for task, codec in product(("detection", "keypoints"), ("elic", "vvenc")):
        label = {"task": task, "codec": codec}
        for scale, weight in enumerate(weights):
            phi = np.geomspace(4e-4, 450e-4, 5) if codec == "elic" else np.array([42, 37, 32, 27, 22])
            rates = 0.1 * 2.0 ** np.arange(5) * (1 + 0.2 * scale)
            losses = weight * 0.2 * rates**-0.7 * rng.uniform(0.9, 1.1, 5)
            for point in range(5):
                shared = label | {"scale": scale, "point": point, "rate": rates[point]}
                tables["loss_rate_points"].append(shared | {"loss": losses[point]})
                tables["rate_phi_points"].append(shared | {"phi": phi[point]})
                for metric, best in (("AP", 0.5), ("APs", 0.3), ("APm", 0.5), ("APl", 0.7)):
                    quality = best * (1 - 0.3 * weight / (0.2 + rates[point]))
                    value = {"metric": metric, "quality": quality, "quality_uncoded": best}
                    tables["sensitivity_by_size"].append(shared | value)
            kinds = ("phi", "log_phi") if codec == "elic" else ("log_rate_qp",)
            for kind in kinds:
                x, y = (np.log(phi) if kind == "log_phi" else phi), (np.log(rates) if "qp" in kind else rates)
                a, b = np.polyfit(x, y, 1)
                fit = {"kind": kind, "scale": scale, "a": a, "b": b, "cc": np.corrcoef(x, y)[0, 1], "rmse": 0.1}
                tables["rate_phi_fit"].append(label | fit | {"points": 5})
            for scheme, image_id in product(("mfiba", "saba"), range(12)):
                share = float(np.clip(weight + rng.normal(0, 0.04), 0, 1))
                row = {"image_id": image_id, "scheme": scheme, "scale": scale, "weight": share}
                tables["importance"].append(label | row)
        for model, a, b, c in (
            ("cauchy", 0.2, 0.7, None),
            ("quadratic", 0.2, -0.8, 0.8),
            ("inverse", 0.1, 0.001, None),
        ):
            fit = {"model": model, "scale": None, "a": a, "b": b, "c": c, "cc": 0.99, "rmse": 0.02, "points": 20}
            tables["loss_rate_fit"].append(label | fit)
    return {name: checked(pd.DataFrame(rows), name, "made up") for name, rows in tables.items()}


FEATURE_TABLES = (
    "loss_rate_points",
    "loss_rate_fit",
    "rate_phi_points",
    "rate_phi_fit",
    "importance",
    "sensitivity_by_size",
)


def make_tables(seed=0):
    """All tables by schema."""
    rng = np.random.default_rng(seed)
    curves, distances = make_curves(rng), make_distances(rng)
    anchors = {
        "image_coding": ["x265/sse"],
        "distillation": ["cheng2020-attn/none"],
        "feature_coding": ["*/uniform"],
    }
    flat = curves.copy()
    flat.loc[(flat["codec"] == "x264") & (flat["study"] == "image_coding"), "quality"] = 0.3
    return {
        "curves": curves,
        "bd_rate": checked(bd_rate_table(flat, Drawn(flat, rng), anchors), "bd_rate", "made up"),
        "distances": distances,
        "idse_correlation": correlation_table(distances, rng, 20),
        "bit_shares": make_bit_shares(rng),
        "overhead": make_overhead(),
    } | make_feature_tables(rng)


def make_bit_shares(rng):
    rows = [
        (codec, scheme, point, 24, 0.3, 0.4 + 0.02 * n + rng.normal(0, 0.01), 0.35 - 0.02 * n)
        for codec, point in product(("avc", "hevc"), (37.0, 45.0))
        for n, scheme in enumerate(("sse", "sse_chroma", "static", "idse", "idse_objectness_dqp"))
    ]
    return checked(pd.DataFrame(rows, columns=load_schema("bit_shares").column_names), "bit_shares", "made up")


def make_overhead():
    times_s = {"sse": (0.4, 1.0, None, None), "idse": (0.5, 1.25, 0.012, 0.083)}
    rows = [(codec, scheme, 24, *values) for codec in ("avc", "hevc") for scheme, values in times_s.items()]
    return checked(pd.DataFrame(rows, columns=load_schema("overhead").column_names), "overhead", "made up")


def make_decisions(rng):
    """Rows of `bd_rate` of schemes of two encoders against their squared error, one of which is not comparable."""
    shared = {"study": "image_coding", "task": "detection", "metric": "fidelity_db", "bd_quality": 0.1, "overlap": 0.9}
    shared |= {"points_anchor": 3, "points_test": 3, "dropped_anchor": 0, "dropped_test": 0, "reason": ""}
    rows = []
    for codec, (n, scheme) in product(("avc", "hevc"), enumerate(DECIDED)):
        value = -20.0 + 3 * n + rng.normal(0, 1)
        interval = {"bd_rate_percent": value, "low": value - 2, "high": value + 3, "sd": 1.2, "comparable_share": 1.0}
        judged = {"comparable": (codec, n) != ("avc", 1), "significant": True}
        rows.append(shared | interval | judged | {"anchor": f"{codec}/sse", "test": f"{codec}/{scheme}"})
    rows.append(rows[-1] | {"anchor": "hevc/static"})
    return checked(pd.DataFrame(rows), "bd_rate", "made up")


def make_coded_maps():
    """What two schemes make of the pictures of `make_pictures`, one of them with delta-QPs."""
    rng = np.random.default_rng(2)
    sides = rng.choice([4, 8, 16, 32, 64], (24, 32)).astype(np.uint8)
    plain = CodedMaps("sse", 0.31, np.zeros((6, 8), int), sides)
    guided = CodedMaps("idse_dqp", 0.29, rng.choice([-2, 0, 2], (6, 8)), sides.T[:24].repeat(2, 1)[:, :32])
    return [[plain, guided], [plain, guided]]


def make_pictures():
    """Two pictures (96, 128, 3) uint8 and their importance maps in blocks of 16."""
    rng = np.random.default_rng(1)
    rows, columns = np.mgrid[:96, :128]
    pictures = [np.stack([rows * 2, columns, rows + columns], axis=-1).astype(np.uint8) for _ in range(2)]
    return pictures, [rng.lognormal(0, 1, (6, 8)) for _ in range(2)]


def make_trainings():
    """Four models of a codec, three of them with a log; the last was trained first, for longer."""
    rng = np.random.default_rng(3)
    trainings = []
    for point, (lambda_, iterations) in enumerate(
        zip((0.0032, 0.015, 0.045, 0.15), (1000,) * 3 + (5000,), strict=True)
    ):
        n = np.arange(20, iterations + 1, 20)
        distortions = (150 / (1 + 20 * lambda_) + (4000 if point == 3 else 90) / n**0.5) * rng.lognormal(0, 0.2, n.size)
        rates = 0.2 * (1 + 30 * lambda_) * (1 - 0.7 * np.exp(-n / 900)) * rng.lognormal(0, 0.1, n.size)
        rows = zip(n, rates + lambda_ * distortions, rates, distortions, strict=True)
        training = Training("feature_coding", "elic", "", point, lambda_, f"models/elic/{point}.safetensors")
        if point != 2:
            steps = tuple(Step(*map(float, row)) for row in rows)
            training = training._replace(
                steps=steps, iterations=iterations, origin="this run", initial="random weights"
            )
        trainings.append(training)
    return trainings


def make_times():
    """What one rule took."""
    return pd.DataFrame({"rule": ["encode"], "jobs": [12], "total_s": [34.56], "longest_s": [7.0], "memory_mb": [None]})
