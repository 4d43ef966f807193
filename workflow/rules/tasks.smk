"""Task networks: training on the scenes, and their results on uncompressed pictures.

Needs: data/scenes/train2017 for training; the chosen pictures otherwise.
Makes: models/tasks/<task>.safetensors with manifest and log; original/<task>/<shard>.parquet.
"""


rule train_task:
    input:
        lambda wildcards: PLAN.training_data(wildcards.task),
        ancient(f"{R}/data/subset.parquet"),
        initial=lambda wildcards: PLAN.initial_weights(wildcards.task),
    output:
        weights=f"{R}/models/tasks/{{task}}.safetensors",
        manifest=f"{R}/models/tasks/{{task}}.json",
        training_log=f"{R}/models/tasks/{{task}}.csv",
    log:
        f"{R}/logs/train_task/{{task}}.log",
    benchmark:
        f"{R}/benchmarks/train_task/{{task}}.tsv"
    conda:
        "../../envs/cfm.yaml"
    resources:
        gpu=PLAN.gpus,
        mem_mb=8000,
        runtime=1440,
    params:
        code=lambda wildcards: PLAN.code("train_task"),
        task="{task}",
        root=lambda wildcards: PLAN.training_root(wildcards.task),
        train_split=DATA.train_split,
        val_split=DATA.split,
        training=lambda wildcards: PLAN.task_training(wildcards.task),
        checkpoint=f"{R}/checkpoints/tasks/{{task}}.pt",
        device=CONFIGURATION.device,
    script:
        "../../scripts/train_task.py"


rule detect_originals:
    input:
        subset=f"{R}/data/subset.parquet",
        annotations=lambda wildcards: PLAN.subset_annotations(wildcards.task),
        network=lambda wildcards: PLAN.network_files(wildcards.task),
    output:
        detections=f"{R}/original/{{task,detection|segmentation|keypoints}}/{{shard}}.parquet",
    log:
        f"{R}/logs/detect_originals/{{task}}/{{shard}}.log",
    benchmark:
        f"{R}/benchmarks/detect_originals/{{task}}/{{shard}}.tsv"
    conda:
        "../../envs/cfm.yaml"
    resources:
        gpu=PLAN.gpus,
        mem_mb=4000,
    params:
        code=lambda wildcards: PLAN.code("detect_originals", PLAN.spec(wildcards.task)),
        pictures=PLAN.pictures_folder,
        shard=lambda wildcards: int(wildcards.shard),
        network=lambda wildcards: PLAN.network(wildcards.task),
        device=CONFIGURATION.device,
    script:
        "../../scripts/detect_originals.py"


rule classify_originals:
    input:
        subset=f"{R}/data/objects.parquet",
        network=lambda wildcards: PLAN.network_files("classification"),
    output:
        classes=f"{R}/original/{{task,classification}}/{{shard}}.parquet",
    log:
        f"{R}/logs/classify_originals/{{task}}/{{shard}}.log",
    benchmark:
        f"{R}/benchmarks/classify_originals/{{task}}/{{shard}}.tsv"
    conda:
        "../../envs/cfm.yaml"
    resources:
        gpu=PLAN.gpus,
        mem_mb=4000,
    params:
        code=lambda wildcards: PLAN.code(
            "classify_originals", PLAN.spec("classification")
        ),
        pictures=lambda wildcards: PLAN.picture_set(wildcards.task).folder,
        shard=lambda wildcards: int(wildcards.shard),
        network=lambda wildcards: PLAN.network("classification"),
        device=CONFIGURATION.device,
    script:
        "../../scripts/classify_originals.py"
