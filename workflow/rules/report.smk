"""Figures and the page.

Needs: tables of curves, BD-rates, fits and distances; logs of trainings, or manifests beside weights that have some.
Makes: figures/<kind>/<name>.svg and .png, report/index.html (self-contained).
"""

for kind in PLAN.figure_kinds:

    rule:
        name:
            f"draw_{kind}"
        input:
            unpack(
                lambda wildcards, kind=kind: PLAN.figure_tables(kind, wildcards.name)
            ),
        output:
            svg=report(
                f"{R}/figures/{kind}/{{name}}.svg",
                caption=f"../report/{kind}.rst",
                category="Figures",
                labels={"figure": kind, "of": "{name}"},
            ),
            png=f"{R}/figures/{kind}/{{name}}.png",
        log:
            f"{R}/logs/figures/{kind}/{{name}}.log",
        benchmark:
            f"{R}/benchmarks/figures/{kind}/{{name}}.tsv"
        conda:
            "../../envs/cfm.yaml"
        params:
            code=PLAN.code("figures"),
            kind=kind,
            labels=lambda wildcards, kind=kind: PLAN.figure_labels(kind, wildcards.name),
        script:
            "../../scripts/figures.py"


rule draw_importance_maps:
    input:
        subset=lambda wildcards: PLAN.picture_set(wildcards.name).table,
        sketches=f"{R}/image_coding/sketch/{{name}}/0000.npz",
    output:
        svg=report(
            f"{R}/figures/importance_maps/{{name}}.svg",
            caption="../report/importance_maps.rst",
            category="Figures",
            labels={"figure": "importance_maps", "of": "{name}"},
        ),
        png=f"{R}/figures/importance_maps/{{name}}.png",
    log:
        f"{R}/logs/figures/importance_maps/{{name}}.log",
    benchmark:
        f"{R}/benchmarks/figures/importance_maps/{{name}}.tsv"
    conda:
        "../../envs/cfm.yaml"
    params:
        code=PLAN.code("importance_figure"),
        pictures=lambda wildcards: PLAN.picture_set(wildcards.name).folder,
        picture_count=4,
        block=PLAN.sketch_block,
    script:
        "../../scripts/importance_figure.py"


rule draw_coding_maps:
    input:
        lambda wildcards: PLAN.encoder_files(
            wildcards.name, PLAN.mapped_schemes(wildcards.name)
        ),
        subset=lambda wildcards: PLAN.picture_set(PLAN.analysed_task).table,
        judge=lambda wildcards: PLAN.judging_sketches,
    output:
        svg=report(
            f"{R}/figures/coding_maps/{{name}}.svg",
            caption="../report/coding_maps.rst",
            category="Figures",
            labels={"figure": "coding_maps", "of": "{name}"},
        ),
        png=f"{R}/figures/coding_maps/{{name}}.png",
    log:
        f"{R}/logs/figures/coding_maps/{{name}}.log",
    benchmark:
        f"{R}/benchmarks/figures/coding_maps/{{name}}.tsv"
    conda:
        "../../envs/cfm.yaml"
    params:
        code=lambda wildcards: PLAN.analysis_code("coding_maps", wildcards.name),
        pictures=lambda wildcards: PLAN.picture_set(PLAN.analysed_task).folder,
        picture_count=3,
        encoders=lambda wildcards: [
            PLAN.encoder(wildcards.name, scheme)
            for scheme in PLAN.mapped_schemes(wildcards.name)
        ],
        point=lambda wildcards: PLAN.middle_point(wildcards.name),
        block=PLAN.sketch_block,
    script:
        "../../scripts/coding_maps.py"


rule page:
    input:
        **PLAN.page_tables(),
        training_logs=PLAN.logs_of(PLAN.learned_models()),
        figures=PLAN.figure_paths(),
    output:
        page=report(
            f"{R}/report/index.html", caption="../report/page.rst", category="Page"
        ),
    log:
        f"{R}/logs/page.log",
    benchmark:
        f"{R}/benchmarks/page.tsv"
    conda:
        "../../envs/cfm.yaml"
    params:
        code=PLAN.code("page"),
        texts=PLAN.page_texts(),
        figures=PLAN.page_figures(),
        models=PLAN.learned_models(),
        benchmarks=f"{R}/benchmarks",
        run=CONFIGURATION.run,
        title=CONFIGURATION.title,
        demo=CONFIGURATION.demo,
        seed=CONFIGURATION.seed,
        # A function of the output, which Snakemake does not compare: a commit alone reruns nothing.
        commit=lambda wildcards, output: commit_of(REPOSITORY),
        configuration=CONFIGURATION.model_dump_json(indent=1, exclude_defaults=True),
    script:
        "../../scripts/page.py"
