"""IDSE: sketches of a task network's Jacobian at every chosen picture.

Needs: data/subset.parquet or data/objects.parquet, a task network.
Makes: image_coding/sketch/<task>/<shard>.npz and a table of each picture's summary; image_coding/guide likewise, with
probes of their own, for the encoders whose decisions they guide: what judges an encoder must not have guided it.
"""


rule sketch:
    input:
        subset=lambda wildcards: PLAN.picture_set(wildcards.task).table,
        network=lambda wildcards: PLAN.network_files(wildcards.task),
    output:
        sketches=f"{R}/image_coding/{{role,sketch|guide}}/{{task}}/{{shard}}.npz",
        summary=f"{R}/image_coding/{{role}}/{{task}}/{{shard}}.parquet",
    log:
        f"{R}/logs/sketch/{{role}}/{{task}}/{{shard}}.log",
    benchmark:
        f"{R}/benchmarks/sketch/{{role}}/{{task}}/{{shard}}.tsv"
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
        sketch=(
            CONFIGURATION.image_coding.sketch.model_dump()
            if CONFIGURATION.image_coding
            else {}
        ),
        seed=lambda wildcards: PLAN.probe_seed(wildcards.role),
        device=CONFIGURATION.device,
    script:
        "../../scripts/sketch.py"
