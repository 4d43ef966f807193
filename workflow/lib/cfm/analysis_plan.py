"""What a configuration asks for of the analysis of our own encoders: overhead, maps, where bits went, decisions."""

from __future__ import annotations

from typing import Any, NamedTuple

from cfm.configuration.sections import OWN
from cfm.configuration.studies import DECISIONS, DELTAS
from cfm.guidance_plan import FEATURE_DISTANCE, JUDGE, JUDGING_CODE, SKETCHED
from cfm.plan import ANNOTATIONS, OBJECT_STREAMS, STREAMS
from cfm.training_plan import TrainingPlan

MAPPED = (("idse_dqp", "idse"), ("idse_objectness_dqp", "idse_objectness"))  # the first that there is of each
MOST_MAPPED = 3
PLOTTED = ("sse", "idse", "idse_objectness")  # beside other codecs, where an encoder has more
FIRST_SHARD = "0000"


class Encoding(NamedTuple):
    """The wildcards of an encoding job."""

    study: str
    streams: str
    codec: str
    scheme: str
    shard: str = FIRST_SHARD


class AnalysisPlan(TrainingPlan):
    """A plan with the analysis of our own encoders, of those that have several schemes."""

    @property
    def compared_schemes(self) -> dict[str, list[str]]:
        """Schemes of our own encoders on whole pictures that have several, by codec."""
        study = self.configuration.image_coding
        return {
            name: codec.rdo
            for name, codec in (study.codecs if study else {}).items()
            if self.codec_kind("image_coding", name) in OWN and codec.downsample == 1 and len(codec.rdo) > 1
        }

    def repeated_schemes(self, codec: str) -> list[str]:
        """Schemes by which pictures are coded again: all but those that take minutes a picture."""
        return [name for name in self.compared_schemes[codec] if self.scheme(name).distortion != FEATURE_DISTANCE]

    def analysis_code(self, script: str, codec: str) -> str:
        """Digest of a script that codes again with one of our encoders; no network decides in it."""
        return self.codec_code(script, "image_coding", codec, without=JUDGING_CODE)

    @property
    def analysed_task(self) -> str:
        """The task whose network guides on the pictures that are analysed; those of scenes where some are coded."""
        scored = {self.picture_set(task).streams for task in self.tasks("image_coding")}
        return self.guide_task(STREAMS if STREAMS in scored else OBJECT_STREAMS)

    def encoding(self, codec: str, scheme: str, shard: str = FIRST_SHARD) -> Encoding:
        """The job that codes a shard of the analysed pictures."""
        return Encoding("image_coding", self.picture_set(self.analysed_task).streams, codec, scheme, shard)

    def encoder(self, codec: str, scheme: str) -> dict[str, Any]:
        """Arguments of `guided_encoder` for the first shard."""
        job = self.encoding(codec, scheme)
        guides = {name: files for name, files in self.guides(job).items() if name in ("calibration", "sketches")}
        arguments = self.codec(job.study, codec, scheme)
        return {"scheme": scheme, "codec": arguments, "guidance": self.guidance(job)} | guides

    def encoder_files(self, codec: str, schemes: list[str]) -> list[str]:
        """Files that the encoders of some schemes read."""
        found = [self.encoder(codec, scheme) for scheme in schemes]
        return list(dict.fromkeys(file for entry in found for file in entry["calibration"] + entry["sketches"]))

    @property
    def judging_sketches(self) -> str:
        """The sketches of the first shard that judge, for importance maps."""
        return f"{self.results}/image_coding/{JUDGE}/{self.analysed_task}/{FIRST_SHARD}.npz"

    def mapped_schemes(self, codec: str) -> list[str]:
        """The schemes of the figure of maps: the squared error and the best guided ones, or else the first ones."""
        names = self.repeated_schemes(codec)
        best = [next((name for name in pair if name in names), None) for pair in MAPPED]
        guided = [name for name in best if name] or [n for n in names if self.scheme(n).distortion in SKETCHED]
        plain = [name for name in names if name == "sse"]
        return (plain + guided)[:MOST_MAPPED] or names[:MOST_MAPPED]

    @property
    def plotted_schemes(self) -> dict[str, list[str]]:
        """Schemes whose curves stand beside those of other codecs, by codec; the figure of an encoder has them all."""
        several = {codec: names for codec, names in self.compared_schemes.items() if len(names) > len(PLOTTED)}
        chosen = {codec: self._plotted(names) for codec, names in several.items()}
        return {codec: names if len(names) > 1 else several[codec][: len(PLOTTED)] for codec, names in chosen.items()}

    @staticmethod
    def _plotted(names: list[str]) -> list[str]:
        """Those of `PLOTTED`, with delta-QPs where there is none without."""
        found = [name if name in names else f"{name}{DELTAS}" for name in PLOTTED]
        return [name for name in found if name in names]

    def middle_point(self, codec: str) -> int:
        """The operating point in the middle."""
        points = sorted(self.section("image_coding", codec).points)
        return points[len(points) // 2]

    def outer_points(self, codec: str) -> list[int]:
        """Two operating points, a quarter of all from either end."""
        points = sorted(self.section("image_coding", codec).points)
        return sorted({points[len(points) // 4], points[-1 - len(points) // 4]})

    @property
    def shared_bits(self) -> list[str]:
        """Tables of the shares of bits inside objects; none where the analysed pictures have no masks."""
        if not self.compared_schemes or ANNOTATIONS.get(self.analysed_task) != "instances":
            return []
        return [f"{self.results}/image_coding/bit_shares/{codec}.parquet" for codec in self.compared_schemes]

    def timed_schemes(self) -> list[dict[str, Any]]:
        """Codec, scheme and the tables of streams and sketches of every scheme, see `scripts/overhead.py`."""
        entries = []
        for codec, schemes in self.compared_schemes.items():
            for scheme in schemes:
                shards = self.picture_set(self.analysed_task).shards
                guides = [self.guides(self.encoding(codec, scheme, shard))["sketches"] for shard in shards]
                sketches = [file.removesuffix("npz") + "parquet" for files in guides for file in files]
                streams = self.stream_tables("image_coding", self.analysed_task, codec, scheme)
                entries.append({"codec": codec, "scheme": scheme, "streams": streams, "sketches": sketches})
        return entries

    def timed_tables(self) -> list[str]:
        """All tables of `timed_schemes`."""
        entries = self.timed_schemes()
        return list(dict.fromkeys(file for entry in entries for file in entry["streams"] + entry["sketches"]))

    @property
    def ablated_schemes(self) -> list[str]:
        """Schemes that use their distortion in some decisions alone, after those of the same that use it in all.

        Empty where there are none, or no squared error to compare with.
        """
        names = list(dict.fromkeys(name for schemes in self.compared_schemes.values() for name in schemes))
        rows = {name: self.scheme(name) for name in names}
        part = [name for name, row in rows.items() if row.decisions != list(DECISIONS)]
        alike = {(rows[name].distortion, tuple(rows[name].delta_qp or ())) for name in part}
        whole = [
            name
            for name, row in rows.items()
            if name not in part and (row.distortion, tuple(row.delta_qp or ())) in alike
        ]
        return whole + part if part and "sse" in names else []
