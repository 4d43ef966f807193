"""Coding for machines: compression of pictures and of neural features for networks rather than eyes.

Needs: a configuration (config/demo.yaml where none is given), and what it names.
Makes: results/<run>/ with streams, models, tables, figures and report/index.html.
"""

import sys
from pathlib import Path

REPOSITORY = Path(workflow.basedir)
LIBRARY = str(REPOSITORY / "workflow/lib")
sys.path.insert(0, LIBRARY)

from cfm.configuration.reading import parse_configuration
from cfm.errors import one_line_errors
from cfm.job import set_environment
from cfm.provenance import commit_of
from cfm.readiness import Readiness
from cfm.report_plan import ReportPlan

if not workflow.overwrite_configfiles:

    configfile: "config/demo.yaml"


set_environment(LIBRARY)

with one_line_errors():
    CONFIGURATION = parse_configuration(
        config, ", ".join(map(str, workflow.configfiles)) or "the configuration"
    )
    PLAN = ReportPlan(CONFIGURATION, REPOSITORY)
    READINESS = Readiness(PLAN)
    READINESS.check_files()

R = PLAN.results
DATA = CONFIGURATION.data


report: "workflow/report/workflow.rst"


wildcard_constraints:
    task="detection|segmentation|keypoints|classification",
    study="image_coding|distillation",
    streams="streams|object_streams",
    shard=r"\d{4}",
    point=r"\d+",
    codec=r"[A-Za-z0-9_-]+",
    scheme=r"[a-z][a-z0-9_]*",
    split=r"[A-Za-z0-9]+",


include: "workflow/rules/data.smk"
include: "workflow/rules/tasks.smk"
include: "workflow/rules/codecs.smk"
include: "workflow/rules/jacobian.smk"
include: "workflow/rules/encode.smk"
include: "workflow/rules/features.smk"
include: "workflow/rules/precode.smk"
include: "workflow/rules/allocation.smk"
include: "workflow/rules/evaluate.smk"
include: "workflow/rules/report.smk"


if PLAN.trained_models:

    include: "workflow/rules/ship.smk"


rule all:
    default_target: True
    input:
        f"{R}/report/index.html",
        PLAN.published_files(),


onstart:
    READINESS.check_models()


onsuccess:
    if Path(R, "report/index.html").is_file():
        print(f"The report is in {R}/report/index.html")


onerror:
    print(
        f"The run stopped. Lines that begin with 'error:' above, or in {R}/logs, name the cause and the cure."
    )
