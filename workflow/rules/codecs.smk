"""Learned codecs: published weights, training on pictures or on the feature data set, and distillation.

Needs: training pictures or features/dataset; the addresses of published weights, where the configuration names any.
Makes: models/checkpoints/<family>-<digits or metric and quality>.pth, models/codecs/<codec>/<point>.safetensors,
models/distillation/<weighting>/<point>.safetensors, these two with their logs.
"""


rule fetch_checkpoint:
    output:
        f"{PLAN.fetched_folder}/{{checkpoint}}",
    log:
        f"{R}/logs/fetch_checkpoint/{{checkpoint}}.log",
    benchmark:
        f"{R}/benchmarks/fetch_checkpoint/{{checkpoint}}.tsv"
    wildcard_constraints:
        checkpoint=r"[a-z0-9-]+\.(pth|safetensors)",
    conda:
        "../../envs/cfm.yaml"
    params:
        code=PLAN.code("fetch_checkpoint"),
        source=lambda wildcards: PLAN.checkpoint_source(wildcards.checkpoint),
        kept="results/.downloads",  # for other runs, and for this one where the code has changed
    script:
        "../../scripts/fetch_checkpoint.py"


rule train_codec:
    input:
        lambda wildcards: PLAN.codec_training_data(wildcards.codec),
        ancient(f"{R}/data/subset.parquet"),
        initial=lambda wildcards: PLAN.codec_initial(
            wildcards.codec, int(wildcards.point)
        ),
    output:
        weights=f"{R}/models/codecs/{{codec}}/{{point}}.safetensors",
        training_log=f"{R}/models/codecs/{{codec}}/{{point}}.csv",
    log:
        f"{R}/logs/train_codec/{{codec}}/{{point}}.log",
    benchmark:
        f"{R}/benchmarks/train_codec/{{codec}}/{{point}}.tsv"
    conda:
        "../../envs/cfm.yaml"
    resources:
        gpu=PLAN.gpus,
        mem_mb=8000,
        runtime=2880,
    params:
        code=lambda wildcards: PLAN.code("train_codec"),
        training=lambda wildcards: PLAN.codec_training(
            wildcards.codec, int(wildcards.point)
        ),
        pictures=f"{PLAN.data_root}/{DATA.train_split}",
        checkpoint=f"{R}/checkpoints/codecs/{{codec}}/{{point}}.pt",
        device=CONFIGURATION.device,
    script:
        "../../scripts/train_codec.py"


rule distill:
    input:
        lambda wildcards: PLAN.training_data("detection"),
        ancient(f"{R}/data/subset.parquet"),
        network=lambda wildcards: PLAN.network_files(CONFIGURATION.distillation.task),
        initial=lambda wildcards: PLAN.codec_weights(
            "image_coding", PLAN.base_name, "", int(wildcards.point)
        ),
    output:
        weights=f"{R}/models/distillation/{{scheme}}/{{point}}.safetensors",
        training_log=f"{R}/models/distillation/{{scheme}}/{{point}}.csv",
    log:
        f"{R}/logs/distill/{{scheme}}/{{point}}.log",
    benchmark:
        f"{R}/benchmarks/distill/{{scheme}}/{{point}}.tsv"
    conda:
        "../../envs/cfm.yaml"
    resources:
        gpu=PLAN.gpus,
        mem_mb=8000,
        runtime=2880,
    params:
        code=lambda wildcards: PLAN.code("distill", *PLAN.specs),
        network=lambda wildcards: PLAN.network(CONFIGURATION.distillation.task),
        family=lambda wildcards: PLAN.codec_kind("distillation", PLAN.base_name),
        training=lambda wildcards: PLAN.distillation_training(int(wildcards.point)),
        weighting="{scheme}",
        root=PLAN.data_root,
        split=DATA.train_split,
        checkpoint=f"{R}/checkpoints/distillation/{{scheme}}/{{point}}.pt",
        device=CONFIGURATION.device,
    script:
        "../../scripts/distill.py"
