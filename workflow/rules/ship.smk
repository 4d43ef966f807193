"""The demo's models: scored, described, and copied from the run that trained them into the checkout.

Needs: the models of a run with config/retrain.yaml, validation pictures.
Makes: shipped/tasks/<task>.{safetensors,json}, shipped/codecs/<codec>/<point>.safetensors and manifest.json,
shipped/codecs/distillation/<weighting>/...; `ship_models` copies them to workflow/models/demo. (As outputs of rules the
files of the checkout, which are always there, would hide that their trainings have not run.)
"""

SHIPPED = f"{R}/shipped"


rule ship_task:
    input:
        weights=f"{R}/models/tasks/{{task}}.safetensors",
        manifest=f"{R}/models/tasks/{{task}}.json",
    output:
        weights=f"{SHIPPED}/tasks/{{task}}.safetensors",
        manifest=f"{SHIPPED}/tasks/{{task}}.json",
    log:
        f"{R}/logs/ship_task/{{task}}.log",
    conda:
        "../../envs/cfm.yaml"
    shell:
        "(cp {input.weights} {output.weights} && cp {input.manifest} {output.manifest}) 2> {log}"


rule ship_codec:
    input:
        unpack(
            lambda wildcards: {
                name: files
                for name, files in PLAN.shipped_files(wildcards.models).items()
                if name != "benchmarks"
            }
        ),
        annotations=PLAN.annotations(DATA.split),
        networks=lambda wildcards: [
            network["weights"] for network in PLAN.shipped_networks(wildcards.models)
        ],
    output:
        manifest=f"{SHIPPED}/codecs/{{models}}/manifest.json",
    log:
        f"{R}/logs/ship_codec/{{models}}.log",
    benchmark:
        f"{R}/benchmarks/ship_codec/{{models}}.tsv"
    conda:
        "../../envs/cfm.yaml"
    params:
        code=lambda wildcards: PLAN.code("ship_codec"),
        benchmarks=lambda wildcards: PLAN.shipped_files(wildcards.models)["benchmarks"],
        points=lambda wildcards: PLAN.shipped_points(wildcards.models),
        trainings=lambda wildcards: PLAN.shipped_trainings(wildcards.models),
        origins=lambda wildcards: PLAN.shipped_origins(wildcards.models),
        device=CONFIGURATION.device,
        networks=lambda wildcards: PLAN.shipped_networks(wildcards.models),
        pictures=PLAN.pictures_folder,
        picture_count=24,
        what="the first 24 validation pictures",
    script:
        "../../scripts/ship_codec.py"


rule ship_models:
    input:
        PLAN.shipped_models(),
    log:
        f"{R}/logs/ship_models.log",
    conda:
        "../../envs/cfm.yaml"
    params:
        shipped=SHIPPED,
    shell:
        "cp -R {params.shipped}/. workflow/models/demo 2> {log}"
