"""IDSE: sketches of a task network's Jacobian at every chosen picture.

Needs: data/subset.parquet, a task network.
Makes: image_coding/sketch/<task>/<shard>.npz and a table of each picture's summary.
"""


rule sketch:
    input:
        subset=f"{R}/data/subset.parquet",
        network=lambda wildcards: PLAN.network_files(wildcards.task),
    output:
        sketches=f"{R}/image_coding/sketch/{{task}}/{{shard}}.npz",
        summary=f"{R}/image_coding/sketch/{{task}}/{{shard}}.parquet",
    log:
        f"{R}/logs/sketch/{{task}}/{{shard}}.log",
    benchmark:
        f"{R}/benchmarks/sketch/{{task}}/{{shard}}.tsv"
    conda:
        "../../envs/cfm.yaml"
    resources:
        gpu=PLAN.gpus,
        mem_mb=4000,
    params:
        code=lambda wildcards: PLAN.code("sketch", PLAN.spec(wildcards.task)),
        pictures=PLAN.pictures_folder,
        shard=lambda wildcards: int(wildcards.shard),
        network=lambda wildcards: PLAN.network(wildcards.task),
        sketch=(
            CONFIGURATION.image_coding.sketch.model_dump()
            if CONFIGURATION.image_coding
            else {}
        ),
        seed=CONFIGURATION.seed,
        device=CONFIGURATION.device,
    script:
        "../../scripts/sketch.py"
