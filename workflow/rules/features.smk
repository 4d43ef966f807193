"""The feature data set that learned feature codecs are trained on.

Needs: training pictures, task networks.
Makes: features/dataset/shard-*.npy (one crop of every scale's mosaic of every picture) and dataset.json.
"""


rule feature_dataset:
    input:
        ancient(f"{R}/data/subset.parquet"),
        lambda wildcards: PLAN.training_data("detection"),
        networks=lambda wildcards: [
            file for task in PLAN.dataset_tasks for file in PLAN.network_files(task)
        ],
    output:
        manifest=f"{R}/features/dataset/dataset.json",
    log:
        f"{R}/logs/feature_dataset.log",
    benchmark:
        f"{R}/benchmarks/feature_dataset.tsv"
    conda:
        "../../envs/cfm.yaml"
    resources:
        gpu=PLAN.gpus,
        mem_mb=8000,
        runtime=1440,
    params:
        code=PLAN.code("feature_dataset", *PLAN.specs),
        root=PLAN.data_root,
        split=DATA.train_split,
        networks=[PLAN.feature_network(task) for task in PLAN.dataset_tasks],
        dataset=PLAN.dataset,
        seed=CONFIGURATION.seed,
        device=CONFIGURATION.device,
    script:
        "../../scripts/feature_dataset.py"
