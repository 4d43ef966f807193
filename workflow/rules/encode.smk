"""Image coding and distillation studies: pictures to streams.

Needs: data/subset.parquet, or data/objects.parquet of the classification set; the weights of learned codecs; the
sketches and the calibration that guide our own encoders.
Makes: <study>/streams/<codec>/<scheme>/<point>/<shard>.zip (the streams) and .parquet (their sizes and times), and
likewise <study>/object_streams of the classification set.
"""


rule encode:
    input:
        unpack(PLAN.guides),
        subset=lambda wildcards: PLAN.coded_set(wildcards.streams).table,
        weights=lambda wildcards: PLAN.codec_weights(
            wildcards.study, wildcards.codec, wildcards.scheme, int(wildcards.point)
        ),
    output:
        pack=f"{R}/{{study}}/{{streams}}/{{codec}}/{{scheme}}/{{point}}/{{shard}}.zip",
        streams=f"{R}/{{study}}/{{streams}}/{{codec}}/{{scheme}}/{{point}}/{{shard}}.parquet",
    log:
        f"{R}/logs/encode/{{study}}/{{streams}}/{{codec}}/{{scheme}}/{{point}}/{{shard}}.log",
    benchmark:
        f"{R}/benchmarks/encode/{{study}}/{{streams}}/{{codec}}/{{scheme}}/{{point}}/{{shard}}.tsv"
    conda:
        "../../envs/cfm.yaml"
    resources:
        gpu=PLAN.encoding_gpus,
        mem_mb=4000,
    params:
        code=PLAN.encode_code,
        pictures=lambda wildcards: PLAN.coded_set(wildcards.streams).folder,
        shard=lambda wildcards: int(wildcards.shard),
        codec=lambda wildcards: PLAN.codec(
            wildcards.study, wildcards.codec, wildcards.scheme, [int(wildcards.point)]
        ),
        point=lambda wildcards: int(wildcards.point),
        guidance=PLAN.guidance,
        network=PLAN.judging_network,
    script:
        "../../scripts/encode.py"
