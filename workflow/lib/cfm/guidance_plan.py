"""What a configuration asks for of the sketches, calibrations and schemes that guide our own encoders."""

from __future__ import annotations

import re
from typing import Any

from cfm.configuration.sections import OWN
from cfm.configuration.studies import DECISIONS, Scheme
from cfm.plan import OBJECT_STREAMS, STREAMS, Plan

GUIDE_SEED = 1 << 31  # added to the run's: encoders are guided by other probes than those that judge them
CALIBRATION_SEED = 1 << 30
JUDGE = "sketch"  # role of the sketches that judge
CALIBRATED = ("sse_chroma", "static", "idse", "idse_objectness", "feature_distance")
SKETCHED = ("idse_pixel", "idse_sketch", "idse", "idse_objectness", "feature_distance")
FEATURE_DISTANCE = "feature_distance"
JUDGING_CODE = ("cfm.sensitivity.feature_judge", "cfm.tasks")
BASELINES = ("sse", "sse_chroma", "static")


class GuidancePlan(Plan):
    """A plan with what guides encoders."""

    def scheme(self, name: str) -> Scheme:
        """A row of the table of schemes; the squared error's where the study has none of that name."""
        rows = self.configuration.image_coding.scheme_rows
        return rows.get(name, rows["sse"])

    def codec(self, study: str, name: str, scheme: str = "sse", points: Any = None) -> dict[str, Any]:
        """Arguments of `make_codec`; delta-QPs, decisions and a given chroma offset are the scheme's."""
        arguments = super().codec(study, name, scheme, points)
        if arguments["name"] in OWN and study == "image_coding":
            row = self.scheme(scheme)
            if row.delta_qp is not None:
                arguments["deltas"] = row.delta_qp
            if row.chroma_qp_offset is not None:
                arguments["chroma_offset"] = row.chroma_qp_offset
            if row.decisions != list(DECISIONS):
                arguments["decisions"] = row.decisions
        return arguments

    def guidance(self, wildcards: Any) -> dict[str, Any]:
        """What guides an encoder's decisions beside the squared error, empty where nothing does.

        `scheme`, `tau` and `normalise` are arguments of `scheme_distortion`; `own_offset` says that chroma's QP offset
        is the calibration's.
        """
        if wildcards.study != "image_coding" or self.codec_kind(wildcards.study, wildcards.codec) not in OWN:
            return {}
        row = self.scheme(wildcards.scheme)
        if row.distortion == "sse":
            return {}
        own_offset = row.distortion in CALIBRATED and row.chroma_qp_offset is None
        return {"scheme": row.distortion, "tau": row.tau, "normalise": row.normalise, "own_offset": own_offset}

    def judging_network(self, wildcards: Any) -> dict[str, Any]:
        """Arguments of `load_network` where the network itself decides; empty elsewhere."""
        if self.guidance(wildcards).get("scheme") != FEATURE_DISTANCE:
            return {}
        return self.network(self.guide_task(wildcards.streams)) | {"device": "cpu"}

    def encode_code(self, wildcards: Any) -> str:
        """Digest of the code of an encoding job; networks are of it only where they decide."""
        network = self.judging_network(wildcards)
        if network:
            return self.codec_code("encode", wildcards.study, wildcards.codec, network["spec"])
        return self.codec_code("encode", wildcards.study, wildcards.codec, without=JUDGING_CODE)

    def guides(self, wildcards: Any) -> dict[str, list[str]]:
        """Files that guide an encoder: `calibration` and `sketches`, a list of one or none, and the files of the
        network that is the `judge`."""
        guidance, found = self.guidance(wildcards), {"calibration": [], "sketches": [], "judge": []}
        if guidance:
            row, task = self.scheme(wildcards.scheme), self.guide_task(wildcards.streams)
            folder = f"{self.results}/image_coding"
            if row.distortion in CALIBRATED:
                found["calibration"] = [f"{folder}/calibration/{task}/{self.features_of(row)}.npz"]
            if row.distortion in SKETCHED:
                found["sketches"] = [f"{folder}/{self.guide_role(row)}/{task}/{wildcards.shard}.npz"]
            if row.distortion == FEATURE_DISTANCE:
                found["judge"] = self.network_files(task)
        return found

    def seen_sketches(self, wildcards: Any) -> list[str]:
        """The sketches that guided what a job judges, as a list; empty where none did, or they are of another kind."""
        pictures = OBJECT_STREAMS if wildcards.task == "classification" else STREAMS
        if wildcards.study != "image_coding" or self.guide_task(pictures) != wildcards.task:
            return []
        row = self.scheme(wildcards.scheme)
        if row.distortion not in SKETCHED or self.codec_kind(wildcards.study, wildcards.codec) not in OWN:
            return []
        if (self.features_of(row) == "objectness") != self.sketching(JUDGE)["objectness"]:
            return []
        return [f"{self.results}/image_coding/{self.guide_role(row)}/{wildcards.task}/{wildcards.shard}.npz"]

    @staticmethod
    def features_of(row: Scheme) -> str:
        """Features that a scheme's Jacobian is of: "plain" ones or scaled by "objectness"."""
        return "objectness" if row.distortion == "idse_objectness" else "plain"

    def guide_role(self, row: Scheme) -> str:
        """Folder of the sketches that guide a scheme: those of as many probes of the same features are shared."""
        return f"guide_{self.features_of(row)}_{row.probes}"

    def sketching(self, role: str) -> dict[str, Any]:
        """`probes`, `objectness` and `seed` of the sketches of a role: "sketch", which judge, or those that guide."""
        study, seed = self.configuration.image_coding, self.configuration.seed
        if role == JUDGE:
            return {"probes": study.sketch.probes, "objectness": study.sketch.objectness, "seed": seed}
        features, probes = re.fullmatch(r"guide_(plain|objectness)_(\d+)", role).groups()
        return {"probes": int(probes), "objectness": features == "objectness", "seed": seed + GUIDE_SEED}

    def guide_task(self, streams: str) -> str:
        """Task whose network guides the encoders of a set of pictures: one that is scored on them."""
        study = self.configuration.image_coding
        tasks = [task for task in study.tasks if self.picture_set(task).streams == streams]
        return study.sketch.guide if study.sketch.guide in tasks else tasks[0]

    @property
    def calibration_split(self) -> str:
        """Split of the pictures that calibrate."""
        return self.configuration.image_coding.calibration.split or self.configuration.data.train_split

    def calibration_data(self, task: str) -> list[str]:
        """What a calibration reads: the folder of the pictures where the run makes it, else their annotations."""
        if task == "classification":
            return [f"{self.objects_root}/{self.calibration_split}"]
        if self.writes_scenes:
            return [f"{self.data_root}/{self.calibration_split}"]
        return self.downloads

    def calibration_folder(self, task: str) -> str:
        """Folder of the pictures that calibrate a task's network."""
        return f"{self.objects_root if task == 'classification' else self.data_root}/{self.calibration_split}"

    def calibrating(self, features: str) -> dict[str, Any]:
        """Settings of a calibration by "plain" features or by those scaled by "objectness"."""
        settings = self.configuration.image_coding.calibration
        seed = self.configuration.seed + CALIBRATION_SEED
        chosen = {"picture_count": settings.pictures, "probes": settings.probes}
        return chosen | {"objectness": features == "objectness", "seed": seed}

    def made_pictures(self, split: str, kind: str) -> int:
        """How many pictures of a split of the embedded scenes, or of its "objects", the run makes."""
        data = self.configuration.data
        if self.configuration.image_coding and split == self.calibration_split != data.train_split:
            return self.configuration.image_coding.calibration.pictures
        which = "val" if split == data.split else "train"
        return getattr(data.scenes, f"objects_{which}" if kind == "objects" else which)

    @property
    def sketch_block(self) -> int:
        """Side of the blocks of importance maps and IDSE, luma samples; 0 where the run has no pictures to code."""
        study = self.configuration.image_coding
        return study.sketch.block if study else 0

    @property
    def downloads(self) -> list[str]:
        """The mark that the run's downloads are complete, where it has any."""
        return [f"{self.results}/data/downloaded"] if self.configuration.data.download else []

    @property
    def anchors(self) -> dict[str, list[str]]:
        """What curves are compared with; where a codec of our own has several schemes, with its baselines too."""
        anchors = super().anchors
        if image := self.configuration.image_coding:
            several = {name for codec in image.codecs.values() if len(codec.rdo) > 1 for name in codec.rdo}
            anchors["image_coding"] += [f"*/{name}" for name in BASELINES if name in several]
        return anchors
