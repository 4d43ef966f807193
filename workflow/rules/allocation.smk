"""MFIBA: the loss-rate and rate-phi models, and the bits of every scale of every picture.

Needs: feature_coding/precode and feature_coding/importance.
Makes: feature_coding/models/<task>/<codec>/{loss_rate,rate_phi}.parquet, allocation/<task>/<codec>/<scheme>.parquet.
"""


rule fit_loss_rate:
    input:
        losses=expand(
            f"{R}/feature_coding/importance/{{{{task}}}}/{{{{codec}}}}/{{shard}}.parquet",
            shard=PLAN.shards,
        ),
        streams=lambda wildcards: PLAN.precoded_streams(wildcards.task, wildcards.codec),
    output:
        fits=f"{R}/feature_coding/models/{{task}}/{{codec}}/loss_rate.parquet",
        fits_csv=f"{R}/feature_coding/models/{{task}}/{{codec}}/loss_rate.csv",
        points=f"{R}/feature_coding/models/{{task}}/{{codec}}/loss_rate_points.parquet",
        points_csv=f"{R}/feature_coding/models/{{task}}/{{codec}}/loss_rate_points.csv",
        importance=f"{R}/feature_coding/models/{{task}}/{{codec}}/importance.parquet",
        importance_csv=f"{R}/feature_coding/models/{{task}}/{{codec}}/importance.csv",
    log:
        f"{R}/logs/fit_loss_rate/{{task}}/{{codec}}.log",
    benchmark:
        f"{R}/benchmarks/fit_loss_rate/{{task}}/{{codec}}.tsv"
    conda:
        "../../envs/cfm.yaml"
    params:
        code=PLAN.code("fit_loss_rate"),
        task="{task}",
        codec="{codec}",
        reference=PLAN.importance_reference,
    script:
        "../../scripts/fit_loss_rate.py"


rule fit_rate_phi:
    input:
        streams=lambda wildcards: PLAN.precoded_streams(wildcards.task, wildcards.codec),
    output:
        fits=f"{R}/feature_coding/models/{{task}}/{{codec}}/rate_phi.parquet",
        fits_csv=f"{R}/feature_coding/models/{{task}}/{{codec}}/rate_phi.csv",
        points=f"{R}/feature_coding/models/{{task}}/{{codec}}/rate_phi_points.parquet",
        points_csv=f"{R}/feature_coding/models/{{task}}/{{codec}}/rate_phi_points.csv",
    log:
        f"{R}/logs/fit_rate_phi/{{task}}/{{codec}}.log",
    benchmark:
        f"{R}/benchmarks/fit_rate_phi/{{task}}/{{codec}}.tsv"
    conda:
        "../../envs/cfm.yaml"
    params:
        code=PLAN.code("fit_rate_phi"),
        task="{task}",
        codec="{codec}",
        phi=lambda wildcards: PLAN.phi(wildcards.codec),
    script:
        "../../scripts/fit_rate_phi.py"


rule allocate:
    input:
        unpack(PLAN.allocation_inputs),
    output:
        allocation=f"{R}/feature_coding/allocation/{{task}}/{{codec}}/{{scheme}}.parquet",
    log:
        f"{R}/logs/allocate/{{task}}/{{codec}}/{{scheme}}.log",
    benchmark:
        f"{R}/benchmarks/allocate/{{task}}/{{codec}}/{{scheme}}.tsv"
    conda:
        "../../envs/cfm.yaml"
    params:
        code=PLAN.code("allocate"),
        task="{task}",
        codec="{codec}",
        scheme="{scheme}",
        phi=lambda wildcards: PLAN.phi(wildcards.codec),
        allocation=lambda wildcards: PLAN.allocation(wildcards.scheme),
        reference=PLAN.importance_reference,
    script:
        "../../scripts/allocate.py"
