"""Decoded streams through the networks, and the scores of every operating point.

One job evaluates all operating points of a scheme on a shard: what it needs of the originals is computed once.

Needs: streams, Jacobian sketches, allocations, task networks.
Makes: <study>/results/... (detections or classifications, distances), <study>/scores/... (one table and one file of
matches a setting), and of our own encoders with several schemes image_coding/bit_shares/<codec>.parquet and
tables/overhead.parquet.
"""


rule evaluate_pictures:
    input:
        subset=f"{R}/data/subset.parquet",
        annotations=lambda wildcards: PLAN.subset_annotations(wildcards.task),
        network=lambda wildcards: PLAN.network_files(wildcards.task),
        packs=PLAN.packs,
        sketches=f"{R}/image_coding/sketch/{{task}}/{{shard}}.npz",
        seen=PLAN.seen_sketches,
    output:
        detections=f"{R}/{{study}}/results/{{task}}/{{codec}}/{{scheme}}/{{shard}}.detections.parquet",
        distances=f"{R}/{{study}}/results/{{task}}/{{codec}}/{{scheme}}/{{shard}}.distances.parquet",
    log:
        f"{R}/logs/evaluate_pictures/{{study}}/{{task}}/{{codec}}/{{scheme}}/{{shard}}.log",
    benchmark:
        f"{R}/benchmarks/evaluate_pictures/{{study}}/{{task}}/{{codec}}/{{scheme}}/{{shard}}.tsv"
    wildcard_constraints:
        task="detection|segmentation|keypoints",
    conda:
        "../../envs/cfm.yaml"
    resources:
        gpu=PLAN.gpus,
        mem_mb=4000,
    params:
        code=lambda wildcards: PLAN.codec_code(
            "evaluate_pictures",
            wildcards.study,
            wildcards.codec,
            PLAN.spec(wildcards.task),
        ),
        setting=lambda wildcards: PLAN.labels(wildcards),
        pictures=PLAN.pictures_folder,
        shard=lambda wildcards: int(wildcards.shard),
        network=lambda wildcards: PLAN.network(wildcards.task),
        codec=lambda wildcards: PLAN.codec(
            wildcards.study, wildcards.codec, wildcards.scheme
        ),
        points=lambda wildcards: PLAN.section(wildcards.study, wildcards.codec).points,
        block=PLAN.sketch_block,
        device=CONFIGURATION.device,
    script:
        "../../scripts/evaluate_pictures.py"


rule classify_pictures:
    input:
        subset=f"{R}/data/objects.parquet",
        network=lambda wildcards: PLAN.network_files(wildcards.task),
        packs=PLAN.packs,
        sketches=f"{R}/image_coding/sketch/{{task}}/{{shard}}.npz",
        seen=PLAN.seen_sketches,
    output:
        classes=f"{R}/{{study}}/results/{{task}}/{{codec}}/{{scheme}}/{{shard}}.classifications.parquet",
        distances=f"{R}/{{study}}/results/{{task}}/{{codec}}/{{scheme}}/{{shard}}.distances.parquet",
    log:
        f"{R}/logs/classify_pictures/{{study}}/{{task}}/{{codec}}/{{scheme}}/{{shard}}.log",
    benchmark:
        f"{R}/benchmarks/classify_pictures/{{study}}/{{task}}/{{codec}}/{{scheme}}/{{shard}}.tsv"
    wildcard_constraints:
        task="classification",
    conda:
        "../../envs/cfm.yaml"
    resources:
        gpu=PLAN.gpus,
        mem_mb=4000,
    params:
        code=lambda wildcards: PLAN.codec_code(
            "classify_pictures",
            wildcards.study,
            wildcards.codec,
            PLAN.spec(wildcards.task),
        ),
        setting=lambda wildcards: PLAN.labels(wildcards),
        pictures=lambda wildcards: PLAN.picture_set(wildcards.task).folder,
        shard=lambda wildcards: int(wildcards.shard),
        network=lambda wildcards: PLAN.network(wildcards.task),
        codec=lambda wildcards: PLAN.codec(
            wildcards.study, wildcards.codec, wildcards.scheme
        ),
        points=lambda wildcards: PLAN.section(wildcards.study, wildcards.codec).points,
        block=PLAN.sketch_block,
        device=CONFIGURATION.device,
    script:
        "../../scripts/classify_pictures.py"


rule evaluate_features:
    input:
        subset=f"{R}/data/subset.parquet",
        annotations=lambda wildcards: PLAN.subset_annotations(wildcards.task),
        network=lambda wildcards: PLAN.network_files(wildcards.task),
        allocation=f"{R}/feature_coding/allocation/{{task}}/{{codec}}/{{scheme}}.parquet",
        packs=lambda wildcards: PLAN.precoded(wildcards, "zip"),
        streams=lambda wildcards: PLAN.precoded(wildcards, "parquet"),
    output:
        detections=f"{R}/feature_coding/results/{{task}}/{{codec}}/{{scheme}}/{{shard}}.detections.parquet",
        streams=f"{R}/feature_coding/results/{{task}}/{{codec}}/{{scheme}}/{{shard}}.streams.parquet",
    log:
        f"{R}/logs/evaluate_features/{{task}}/{{codec}}/{{scheme}}/{{shard}}.log",
    benchmark:
        f"{R}/benchmarks/evaluate_features/{{task}}/{{codec}}/{{scheme}}/{{shard}}.tsv"
    conda:
        "../../envs/cfm.yaml"
    resources:
        gpu=PLAN.gpus,
        mem_mb=8000,
    params:
        code=lambda wildcards: PLAN.codec_code(
            "evaluate_features",
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
        "../../scripts/evaluate_features.py"


rule score:
    input:
        lambda wildcards: PLAN.score_tables(*PLAN.curve(wildcards)),
        unpack(lambda wildcards: PLAN.truth(wildcards.any_study, wildcards.task)),
    output:
        scores=f"{R}/{{any_study}}/scores/{{task}}/{{codec}}/{{scheme}}.parquet",
        scores_csv=f"{R}/{{any_study}}/scores/{{task}}/{{codec}}/{{scheme}}.csv",
        draws=f"{R}/{{any_study}}/scores/{{task}}/{{codec}}/{{scheme}}.npz",
    log:
        f"{R}/logs/score/{{any_study}}/{{task}}/{{codec}}/{{scheme}}.log",
    benchmark:
        f"{R}/benchmarks/score/{{any_study}}/{{task}}/{{codec}}/{{scheme}}.tsv"
    conda:
        "../../envs/cfm.yaml"
    params:
        code=PLAN.code("score"),
        study="{any_study}",
        task="{task}",
        settings=lambda wildcards: PLAN.score_files(*PLAN.curve(wildcards)),
        seed=CONFIGURATION.seed,
        repeats=CONFIGURATION.evaluation.bootstrap,
    script:
        "../../scripts/score.py"


rule score_sensitivity:
    input:
        subset=f"{R}/data/subset.parquet",
        annotations=lambda wildcards: PLAN.subset_annotations(wildcards.task),
        coded=expand(
            f"{R}/feature_coding/sensitivity/{{{{task}}}}/{{{{codec}}}}/{{shard}}.parquet",
            shard=PLAN.shards,
        ),
        uncoded=expand(
            f"{R}/original/{{{{task}}}}/{{shard}}.parquet", shard=PLAN.shards
        ),
        streams=lambda wildcards: PLAN.precoded_streams(wildcards.task, wildcards.codec),
    output:
        sensitivity=f"{R}/feature_coding/sensitivity/{{task}}/{{codec}}.parquet",
        sensitivity_csv=f"{R}/feature_coding/sensitivity/{{task}}/{{codec}}.csv",
    log:
        f"{R}/logs/score_sensitivity/{{task}}/{{codec}}.log",
    benchmark:
        f"{R}/benchmarks/score_sensitivity/{{task}}/{{codec}}.tsv"
    conda:
        "../../envs/cfm.yaml"
    params:
        code=PLAN.code("score_sensitivity"),
        task="{task}",
        codec="{codec}",
    script:
        "../../scripts/score_sensitivity.py"


rule correlation:
    input:
        distances=(
            PLAN.distances("image_coding") if "image_coding" in PLAN.studies else []
        ),
    output:
        correlation=f"{R}/tables/idse_correlation.parquet",
        correlation_csv=f"{R}/tables/idse_correlation.csv",
    log:
        f"{R}/logs/correlation.log",
    benchmark:
        f"{R}/benchmarks/correlation.tsv"
    conda:
        "../../envs/cfm.yaml"
    params:
        code=PLAN.code("correlation"),
        seed=CONFIGURATION.seed,
        repeats=CONFIGURATION.evaluation.bootstrap,
    script:
        "../../scripts/correlation.py"


rule overhead:
    input:
        PLAN.timed_tables(),
    output:
        overhead=f"{R}/tables/overhead.parquet",
        overhead_csv=f"{R}/tables/overhead.csv",
    log:
        f"{R}/logs/overhead.log",
    benchmark:
        f"{R}/benchmarks/overhead.tsv"
    conda:
        "../../envs/cfm.yaml"
    params:
        code=PLAN.code("overhead"),
        schemes=PLAN.timed_schemes(),
    script:
        "../../scripts/overhead.py"


rule bit_shares:
    input:
        lambda wildcards: PLAN.encoder_files(
            wildcards.codec, PLAN.repeated_schemes(wildcards.codec)
        ),
        subset=lambda wildcards: PLAN.picture_set(PLAN.analysed_task).table,
        annotations=lambda wildcards: PLAN.subset_annotations(PLAN.analysed_task),
    output:
        shares=f"{R}/image_coding/bit_shares/{{codec}}.parquet",
        shares_csv=f"{R}/image_coding/bit_shares/{{codec}}.csv",
    log:
        f"{R}/logs/bit_shares/{{codec}}.log",
    benchmark:
        f"{R}/benchmarks/bit_shares/{{codec}}.tsv"
    conda:
        "../../envs/cfm.yaml"
    params:
        code=lambda wildcards: PLAN.analysis_code("bit_shares", wildcards.codec),
        codec="{codec}",
        pictures=lambda wildcards: PLAN.picture_set(PLAN.analysed_task).folder,
        picture_count=24,
        encoders=lambda wildcards: [
            PLAN.encoder(wildcards.codec, scheme)
            for scheme in PLAN.repeated_schemes(wildcards.codec)
        ],
        points=lambda wildcards: PLAN.outer_points(wildcards.codec),
    script:
        "../../scripts/bit_shares.py"


rule bd_rate:
    input:
        scores=[
            f"{R}/{study}/scores/{task}/{codec}/{scheme}.parquet"
            for study, task, codec, scheme in PLAN.curves()
        ],
        draws=[
            f"{R}/{study}/scores/{task}/{codec}/{scheme}.npz"
            for study, task, codec, scheme in PLAN.curves()
        ],
        distances=[
            file for study in PLAN.picture_studies for file in PLAN.distances(study)
        ],
    output:
        curves=f"{R}/tables/curves.parquet",
        curves_csv=f"{R}/tables/curves.csv",
        bd_rate=f"{R}/tables/bd_rate.parquet",
        bd_rate_csv=f"{R}/tables/bd_rate.csv",
    log:
        f"{R}/logs/bd_rate.log",
    benchmark:
        f"{R}/benchmarks/bd_rate.tsv"
    conda:
        "../../envs/cfm.yaml"
    params:
        code=PLAN.code("bd_rate"),
        anchors=PLAN.anchors,
        minimum_overlap=CONFIGURATION.evaluation.minimum_overlap,
    script:
        "../../scripts/bd_rate.py"
