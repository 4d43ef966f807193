"""IDSE: sketches of a task network's Jacobian at every chosen picture, and its calibration by training pictures.

Needs: data/subset.parquet or data/objects.parquet, a task network; training pictures.
Makes: image_coding/sketch/<task>/<shard>.npz and a table of each picture's summary; image_coding/guide_<features>_<K>
likewise, with probes of their own, for the encoders whose decisions they guide: what judges an encoder must not have
guided it. image_coding/calibration/<task>/<features>.npz: the static matrix and chroma's weights.
"""


rule sketch:
    input:
        subset=lambda wildcards: PLAN.picture_set(wildcards.task).table,
        network=lambda wildcards: PLAN.network_files(wildcards.task),
    output:
        sketches=f"{R}/image_coding/{{role}}/{{task}}/{{shard}}.npz",
        summary=f"{R}/image_coding/{{role}}/{{task}}/{{shard}}.parquet",
    log:
        f"{R}/logs/sketch/{{role}}/{{task}}/{{shard}}.log",
    benchmark:
        f"{R}/benchmarks/sketch/{{role}}/{{task}}/{{shard}}.tsv"
    wildcard_constraints:
        role=r"sketch|guide_(plain|objectness)_\d+",
    conda:
        "../../envs/cfm.yaml"
    resources:
        gpu=PLAN.gpus,
        mem_mb=4000,
    params:
        code=lambda wildcards: PLAN.code("sketch", PLAN.spec(wildcards.task)),
        pictures=lambda wildcards: PLAN.picture_set(wildcards.task).folder,
        shard=lambda wildcards: int(wildcards.shard),
        network=lambda wildcards: PLAN.network(wildcards.task),
        sketch=lambda wildcards: PLAN.sketching(wildcards.role),
        block=PLAN.sketch_block,
        device=CONFIGURATION.device,
    script:
        "../../scripts/sketch.py"


rule calibrate:
    input:
        lambda wildcards: ancient(PLAN.picture_set(wildcards.task).table),
        data=lambda wildcards: ancient(PLAN.calibration_data(wildcards.task)),
        network=lambda wildcards: PLAN.network_files(wildcards.task),
    output:
        calibration=f"{R}/image_coding/calibration/{{task}}/{{features}}.npz",
    log:
        f"{R}/logs/calibrate/{{task}}/{{features}}.log",
    benchmark:
        f"{R}/benchmarks/calibrate/{{task}}/{{features}}.tsv"
    wildcard_constraints:
        features="plain|objectness",
    conda:
        "../../envs/cfm.yaml"
    resources:
        gpu=PLAN.gpus,
        mem_mb=4000,
    params:
        code=lambda wildcards: PLAN.code("calibrate", PLAN.spec(wildcards.task)),
        folder=lambda wildcards: PLAN.calibration_folder(wildcards.task),
        network=lambda wildcards: PLAN.network(wildcards.task),
        settings=lambda wildcards: PLAN.calibrating(wildcards.features),
        device=CONFIGURATION.device,
    script:
        "../../scripts/calibrate.py"
