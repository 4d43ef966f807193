"""Feature coding study: every scale of every pyramid at every operating point, and what the scales are worth.

Needs: data/subset.parquet, a task network, a feature codec.
Makes: feature_coding/precode/<task>/<codec>/<point>/<shard>.zip and .parquet; importance/<task>/<codec>/<shard>.parquet
(losses of the heads by scale and point); sensitivity/<task>/<codec>/<shard>.parquet (detections with one scale coded).
"""


rule precode:
    input:
        subset=f"{R}/data/subset.parquet",
        network=lambda wildcards: PLAN.network_files(wildcards.task),
        weights=lambda wildcards: PLAN.codec_weights(
            "feature_coding", wildcards.codec, "", int(wildcards.point)
        ),
    output:
        pack=f"{R}/feature_coding/precode/{{task}}/{{codec}}/{{point}}/{{shard}}.zip",
        streams=f"{R}/feature_coding/precode/{{task}}/{{codec}}/{{point}}/{{shard}}.parquet",
    log:
        f"{R}/logs/precode/{{task}}/{{codec}}/{{point}}/{{shard}}.log",
    benchmark:
        f"{R}/benchmarks/precode/{{task}}/{{codec}}/{{point}}/{{shard}}.tsv"
    conda:
        "../../envs/cfm.yaml"
    resources:
        gpu=PLAN.gpus,
        mem_mb=16000,
    params:
        code=lambda wildcards: PLAN.codec_code(
            "precode", "feature_coding", wildcards.codec, PLAN.spec(wildcards.task)
        ),
        pictures=PLAN.pictures_folder,
        shard=lambda wildcards: int(wildcards.shard),
        network=lambda wildcards: PLAN.feature_network(wildcards.task),
        codec=lambda wildcards: PLAN.codec(
            "feature_coding", wildcards.codec, "", [int(wildcards.point)]
        ),
        point=lambda wildcards: int(wildcards.point),
        device=CONFIGURATION.device,
    script:
        "../../scripts/precode.py"


rule importance:
    input:
        subset=f"{R}/data/subset.parquet",
        annotations=lambda wildcards: PLAN.importance_annotations(wildcards.task),
        network=lambda wildcards: PLAN.network_files(wildcards.task),
        packs=lambda wildcards: PLAN.precoded(wildcards, "zip"),
    output:
        losses=f"{R}/feature_coding/importance/{{task}}/{{codec}}/{{shard}}.parquet",
    log:
        f"{R}/logs/importance/{{task}}/{{codec}}/{{shard}}.log",
    benchmark:
        f"{R}/benchmarks/importance/{{task}}/{{codec}}/{{shard}}.tsv"
    conda:
        "../../envs/cfm.yaml"
    resources:
        gpu=PLAN.gpus,
        mem_mb=8000,
    params:
        code=lambda wildcards: PLAN.codec_code(
            "importance", "feature_coding", wildcards.codec, PLAN.spec(wildcards.task)
        ),
        pictures=PLAN.pictures_folder,
        shard=lambda wildcards: int(wildcards.shard),
        network=lambda wildcards: PLAN.feature_network(wildcards.task),
        codec=lambda wildcards: PLAN.codec("feature_coding", wildcards.codec),
        points=lambda wildcards: PLAN.section("feature_coding", wildcards.codec).points,
        reference=PLAN.importance_reference,
        device=CONFIGURATION.device,
    script:
        "../../scripts/importance.py"


rule sensitivity_by_size:
    input:
        subset=f"{R}/data/subset.parquet",
        annotations=lambda wildcards: PLAN.subset_annotations(wildcards.task),
        network=lambda wildcards: PLAN.network_files(wildcards.task),
        packs=lambda wildcards: PLAN.precoded(wildcards, "zip"),
    output:
        detections=f"{R}/feature_coding/sensitivity/{{task}}/{{codec}}/{{shard}}.parquet",
    log:
        f"{R}/logs/sensitivity_by_size/{{task}}/{{codec}}/{{shard}}.log",
    benchmark:
        f"{R}/benchmarks/sensitivity_by_size/{{task}}/{{codec}}/{{shard}}.tsv"
    conda:
        "../../envs/cfm.yaml"
    resources:
        gpu=PLAN.gpus,
        mem_mb=8000,
    params:
        code=lambda wildcards: PLAN.codec_code(
            "sensitivity_by_size",
            "feature_coding",
            wildcards.codec,
            PLAN.spec(wildcards.task),
        ),
        pictures=PLAN.pictures_folder,
        shard=lambda wildcards: int(wildcards.shard),
        network=lambda wildcards: PLAN.feature_network(wildcards.task),
        codec=lambda wildcards: PLAN.codec("feature_coding", wildcards.codec),
        points=lambda wildcards: PLAN.section("feature_coding", wildcards.codec).points,
        device=CONFIGURATION.device,
    script:
        "../../scripts/sensitivity_by_size.py"
