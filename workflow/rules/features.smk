"""The feature data set that learned feature codecs are trained on.

Needs: training pictures, task networks.
Makes: features/dataset/<shard>.npy (one crop of every scale's mosaic of every picture of the shard) and dataset.json,
which lists them.
"""


rule feature_shard:
    input:
        ancient(f"{R}/data/subset.parquet"),
        lambda wildcards: PLAN.training_data("detection"),
        networks=lambda wildcards: [
            file for task in PLAN.dataset_tasks for file in PLAN.network_files(task)
        ],
    output:
        crops=f"{R}/features/dataset/{{shard}}.npy",
    log:
        f"{R}/logs/feature_shard/{{shard}}.log",
    benchmark:
        f"{R}/benchmarks/feature_shard/{{shard}}.tsv"
    conda:
        "../../envs/cfm.yaml"
    resources:
        gpu=PLAN.gpus,
        mem_mb=8000,
    params:
        code=lambda wildcards: PLAN.code(
            "feature_shard", *map(PLAN.spec, PLAN.dataset_tasks)
        ),
        root=PLAN.data_root,
        split=DATA.train_split,
        networks=lambda wildcards: PLAN.dataset_networks,
        shard=lambda wildcards: int(wildcards.shard),
        pictures=lambda wildcards: PLAN.dataset_slice(int(wildcards.shard)),
        crop=lambda wildcards: PLAN.dataset["crop"],
        seed=CONFIGURATION.seed,
        device=CONFIGURATION.device,
        # A function of the output, which Snakemake does not compare: more pictures leave the shards that there are.
        picture_count=lambda wildcards, output: PLAN.dataset["pictures"],
    script:
        "../../scripts/feature_shard.py"


rule feature_dataset:
    input:
        shards=PLAN.dataset_shards,
    output:
        manifest=f"{R}/features/dataset/dataset.json",
    log:
        f"{R}/logs/feature_dataset.log",
    benchmark:
        f"{R}/benchmarks/feature_dataset.tsv"
    conda:
        "../../envs/cfm.yaml"
    resources:
        mem_mb=2000,
    params:
        code=PLAN.code("feature_dataset"),
        settings=PLAN.dataset,
    script:
        "../../scripts/feature_dataset.py"
