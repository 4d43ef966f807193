"""Figures of the report: which there are, what they are drawn from, where they go."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from cfm.analysis_plan import AnalysisPlan
from cfm.reporting.training_logs import MANIFEST_NAME, has_log
from cfm.training_plan import first

TRAINING, TRAINING_CURVES = "training", "training_curves"  # section of the page, and its figures
ENCODED_KINDS = ("importance_maps", "coding_maps")  # figures that are drawn from more than tables


class Figure(NamedTuple):
    """A figure of the report.

    Attributes
    ----------
    study : str
        Section of the page that shows it: a study, or "training".
    kind : str
        Name of its drawing and of its caption.
    name : str
        What tells it from others of its kind.
    title : str
        Heading.
    """

    study: str
    kind: str
    name: str
    title: str


class ModelSet(NamedTuple):
    """The models of a learned codec, one a point; `weighting` is empty where they are not distilled."""

    study: str
    codec: str
    weighting: str

    @property
    def name(self) -> str:
        """What tells it from others in the names of files."""
        return f"{self.study}-{self.weighting or self.codec}"

    @property
    def title(self) -> str:
        """Heading of its training."""
        if self.weighting:
            return f"Distillation of {self.codec}, weighting {self.weighting}"
        return f"Training of {self.codec}, {self.study.replace('_', ' ')}"


class ReportPlan(AnalysisPlan):
    """A plan with the figures and tables of the report."""

    def figures(self) -> list[Figure]:
        """All figures, in the order of the page."""
        figures = []
        for study in self.studies:
            figures.append(Figure(study, "rate_accuracy", study, "Rate and accuracy"))
            if study == "image_coding":
                tasks = self.tasks(study)
                figures += [Figure(study, "idse", task, f"IDSE and true feature distance, {task}") for task in tasks]
                figures += [Figure(study, "importance_maps", task, f"Importance maps, {task}") for task in tasks]
                figures += self.encoder_figures()
            if study == "feature_coding":
                figures += [
                    Figure(study, "allocation", study, "Predicted importance of the scales"),
                    Figure(study, "loss_rate", study, "Task loss over rate"),
                    Figure(study, "rate_phi", study, "Rate over φ"),
                ]
                figures += [
                    Figure(study, "size_sensitivity", f"{task}-{codec}", f"Sensitivity by object size, {task}, {codec}")
                    for task, codec in self.sensitivity_settings()
                ]
        return figures + self.training_figures()

    def training_figures(self) -> list[Figure]:
        """Figures of the trainings whose logs there are or will be."""
        return [
            Figure(TRAINING, TRAINING_CURVES, models.name, models.title)
            for models in self.model_sets()
            if self.logs_of(self.models_of(models))
        ]

    def encoder_figures(self) -> list[Figure]:
        """Figures of what our own encoders do, where they have several schemes."""
        study, codecs = "image_coding", self.compared_schemes
        figures = [Figure(study, "scheme_curves", codec, f"Schemes of the encoder, {codec}") for codec in codecs]
        figures += [Figure(study, "coding_maps", codec, f"QPs and partitions, {codec}") for codec in codecs]
        if self.shared_bits:
            figures.append(Figure(study, "bit_shares", study, "Bits and errors inside objects"))
        if self.ablated_schemes:
            tasks = self.tasks(study)
            figures += [Figure(study, "decisions", task, f"What the decisions are worth, {task}") for task in tasks]
        return figures

    def figure_path(self, figure: Figure) -> str:
        """The .svg file of a figure; the .png lies beside it."""
        return f"{self.results}/figures/{figure.kind}/{figure.name}.svg"

    def figure_paths(self) -> list[str]:
        """All .svg files."""
        return [self.figure_path(figure) for figure in self.figures()]

    def published_files(self) -> list[str]:
        """Figures and tables of the report that are of use by themselves: made again where one was lost."""
        figures = [path for svg in self.figure_paths() for path in (svg, svg.removesuffix("svg") + "png")]
        names = ["curves", "bd_rate"] + ["idse_correlation"] * ("image_coding" in self.studies)
        names += ["overhead"] * bool(self.compared_schemes)
        return figures + [f"{self.results}/tables/{name}.{kind}" for name in names for kind in ("parquet", "csv")]

    def page_figures(self) -> list[dict[str, Any]]:
        """The figures as the page takes them."""
        return [
            {"study": figure.study, "kind": figure.kind, "title": figure.title, "path": self.figure_path(figure)}
            for figure in self.figures()
        ]

    @property
    def figure_kinds(self) -> list[str]:
        """Kinds of figures that are drawn from tables alone."""
        return [kind for kind in dict.fromkeys(f.kind for f in self.figures()) if kind not in ENCODED_KINDS]

    def model_tables(self, table: str) -> list[str]:
        """Tables of the feature coding study's fits ("loss_rate", "rate_phi", "importance", ..._points)."""
        study = self.configuration.feature_coding
        folder = f"{self.results}/feature_coding/models"
        return [f"{folder}/{task}/{codec}/{table}.parquet" for task in study.tasks for codec in study.codecs]

    def figure_tables(self, kind: str, name: str) -> dict[str, Any]:
        """Input files of a figure, by the names that `scripts/figures.py` reads."""
        if kind in ("rate_accuracy", "scheme_curves"):
            return {"curves": f"{self.results}/tables/curves.parquet"}
        if kind == "bit_shares":
            return {"shares": self.shared_bits}
        if kind == "decisions":
            return {"bd_rate": f"{self.results}/tables/bd_rate.parquet"}
        if kind == "idse":
            correlation = f"{self.results}/tables/idse_correlation.parquet"
            return {"distances": self.distances("image_coding"), "correlation": correlation}
        if kind == "size_sensitivity":
            return {"sensitivity": f"{self.results}/feature_coding/sensitivity/{name.replace('-', '/', 1)}.parquet"}
        if kind == TRAINING_CURVES:
            return {"logs": self.logs_of(self.models_of(self.model_set(name)))}
        if kind == "allocation":
            return {"importance": self.model_tables("importance")}
        tables = {"points": self.model_tables(f"{kind}_points"), "fits": self.model_tables(kind)}
        return tables | ({"importance": self.model_tables("importance")} if kind == "loss_rate" else {})

    def figure_labels(self, kind: str, name: str) -> dict[str, Any]:
        """What a figure's drawing is told beside its tables."""
        task, _, codec = name.partition("-")
        labels = {"name": name, "study": name, "task": task, "codec": codec}
        if kind == TRAINING_CURVES:
            models = self.model_set(name)
            return {"study": models.study, "models": self.models_of(models)}
        if kind == "rate_accuracy":
            labels["shown"] = self.plotted_schemes if name == "image_coding" else {}
        return labels | ({"schemes": self.ablated_schemes} if kind == "decisions" else {})

    # Trained models

    def model_sets(self) -> list[ModelSet]:
        """All sets of learned models of the run."""
        sets = []
        for study in self.studies:
            if study == "distillation":
                weightings = self.configuration.distillation.weightings
                sets += [ModelSet(study, self.base_name, weighting) for weighting in weightings]
            else:
                codecs = getattr(self.configuration, study).codecs
                sets += [ModelSet(study, name, "") for name, codec in codecs.items() if codec.models]
        return sets

    def model_set(self, name: str) -> ModelSet:
        """The set of a name."""
        return next(models for models in self.model_sets() if models.name == name)

    def trains(self, models: ModelSet) -> bool:
        """Whether the run trains the models of a set."""
        distilled = models.study == "distillation"
        trained = self.configuration.distillation if distilled else self.section(models.study, models.codec).models
        return trained.folder == "train"

    def models_of(self, models: ModelSet) -> list[dict[str, Any]]:
        """The models of a set, one a point: see `Training` and `read_training`, which take what stands here.

        `log` is the CSV where the run trains the model, else a manifest that has its log, else empty; `lambda_` is None
        where nothing tells; `origin` is empty where the manifest tells, if any does.
        """
        section, distilled = self.section(models.study, models.codec), models.study == "distillation"
        lagrangians = dict(enumerate(section.models.known_lagrangians))
        if distilled:
            lagrangians = dict(zip(section.points, self.configuration.distillation.lagrangians, strict=False))
        rows = []
        for point in section.points:
            [weights] = self.codec_weights(*models, point)
            row = {**models._asdict(), "point": point, "lambda_": lagrangians.get(point), "weights": weights}
            training = self.own_training if self.trains(models) else self.past_training
            rows.append(row | training(models, point, weights))
        return rows

    def own_training(self, models: ModelSet, point: int, weights: str) -> dict[str, str]:
        """Log, initial weights and origin of a model that the run trains."""
        if models.study == "distillation":
            initial = self.codec_weights("image_coding", models.codec, "", point)
        else:
            initial = self.codec_initial(models.codec, point)
        log = weights.removesuffix("safetensors") + "csv"
        return {"log": log, "initial": first(initial) or "", "origin": "this run"}

    def past_training(self, models: ModelSet, point: int, weights: str) -> dict[str, str]:
        """Log and origin of a model that is there before the run, or that it fetches."""
        manifest, origin = str(Path(weights).with_name(MANIFEST_NAME)), ""
        if models.study != "distillation" and not self.section(models.study, models.codec).models.folder:
            source = self.checkpoint(models.study, models.codec, point).source
            zoo = "compressai's zoo, {zoo}, quality {quality}" if "zoo" in source else ""
            origin = zoo.format(**source) or source.get("url", "")
        log = manifest if has_log(manifest, Path(weights).name) else ""
        return {"log": log, "initial": "", "origin": origin}

    def learned_models(self) -> list[dict[str, Any]]:
        """All learned models of the run."""
        return [row for models in self.model_sets() for row in self.models_of(models)]

    @staticmethod
    def logs_of(models: Iterable[dict[str, Any]]) -> list[str]:
        """Files that hold the logs of some models, each once."""
        return list(dict.fromkeys(model["log"] for model in models if model["log"]))

    def page_texts(self) -> str:
        """Digest of the page's template and captions, which no digest of code sees."""
        template = self.repository / "workflow/lib/cfm/reporting/page.html.j2"
        captions = sorted((self.repository / "workflow/report").glob("*.rst"))
        return hashlib.sha256(b"\0".join(path.read_bytes() for path in [template, *captions])).hexdigest()[:16]

    def page_tables(self) -> dict[str, list[str]]:
        """Input tables of the page, by schema name."""
        tables = {name: [f"{self.results}/tables/{name}.parquet"] for name in ("curves", "bd_rate")}
        if "image_coding" in self.studies:
            tables["idse_correlation"] = [f"{self.results}/tables/idse_correlation.parquet"]
        if self.compared_schemes:
            tables["overhead"] = [f"{self.results}/tables/overhead.parquet"]
        if self.shared_bits:
            tables["bit_shares"] = self.shared_bits
        if "feature_coding" in self.studies:
            tables["loss_rate_fit"] = self.model_tables("loss_rate")
            tables["rate_phi_fit"] = self.model_tables("rate_phi")
        return tables
