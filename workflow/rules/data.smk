"""Pictures and annotations.

Needs: nothing for the embedded scenes; a folder in COCO's layout, or the addresses of COCO's files, otherwise.
Makes: data/scenes, data/objects (embedded sets), preflight.json (everything was looked at), data/subset.parquet,
data/{instances,person_keypoints}.json (annotations of the chosen pictures).
"""

if PLAN.writes_scenes:

    rule make_scenes:
        output:
            annotations=expand(
                f"{R}/data/scenes/annotations/{{kind}}_{{{{split}}}}.json",
                kind=["instances", "person_keypoints"],
            ),
            pictures=directory(f"{R}/data/scenes/{{split}}"),
        log:
            f"{R}/logs/make_scenes/{{split}}.log",
        benchmark:
            f"{R}/benchmarks/make_scenes/{{split}}.tsv"
        conda:
            "../../envs/cfm.yaml"
        params:
            code=PLAN.code("make_scenes"),
            root=lambda wildcards, output: str(Path(output.pictures).parent),
            split=lambda wildcards: wildcards.split,
            picture_count=lambda wildcards: (
                DATA.scenes.val if wildcards.split == DATA.split else DATA.scenes.train
            ),
            seed=CONFIGURATION.seed,
            width=DATA.scenes.width,
            height=DATA.scenes.height,
        script:
            "../../scripts/make_scenes.py"


rule make_objects:
    output:
        pictures=directory(f"{R}/data/objects/{{split}}"),
    log:
        f"{R}/logs/make_objects/{{split}}.log",
    benchmark:
        f"{R}/benchmarks/make_objects/{{split}}.tsv"
    conda:
        "../../envs/cfm.yaml"
    params:
        code=PLAN.code("make_objects"),
        root=lambda wildcards, output: str(Path(output.pictures).parent),
        split=lambda wildcards: wildcards.split,
        picture_count=lambda wildcards: (
            DATA.scenes.objects_val
            if wildcards.split == DATA.split
            else DATA.scenes.objects_train
        ),
        seed=CONFIGURATION.seed,
        size=DATA.scenes.object_size,
    script:
        "../../scripts/make_objects.py"


if DATA.download:

    rule download_coco:
        output:
            touch(f"{R}/data/downloaded"),
            annotations=PLAN.downloaded_annotations(),
        log:
            f"{R}/logs/download_coco.log",
        benchmark:
            f"{R}/benchmarks/download_coco.tsv"
        conda:
            "../../envs/cfm.yaml"
        params:
            code=PLAN.code("download_coco"),
            files={name: file.model_dump() for name, file in DATA.download.items()},
            root=DATA.root,
        script:
            "../../scripts/download_coco.py"


rule select_subset:
    input:
        annotations=PLAN.annotations(DATA.split),
    output:
        subset=f"{R}/data/subset.parquet",
        annotations=PLAN.all_subset_annotations,
    log:
        f"{R}/logs/select_subset.log",
    benchmark:
        f"{R}/benchmarks/select_subset.tsv"
    conda:
        "../../envs/cfm.yaml"
    params:
        code=PLAN.code("select_subset"),
        root=lambda wildcards, input: str(Path(input.annotations[0]).parents[1]),
        split=DATA.split,
        picture_count=DATA.pictures,
        selection=DATA.selection,
        tasks=PLAN.picture_tasks,
        shard_size=DATA.shard_size,
        minimum_side=DATA.minimum_side,
        seed=CONFIGURATION.seed,
    script:
        "../../scripts/select_subset.py"


if PLAN.classifies:

    rule select_objects:
        input:
            f"{PLAN.objects_root}/{DATA.split}",
        output:
            subset=f"{R}/data/objects.parquet",
        log:
            f"{R}/logs/select_objects.log",
        benchmark:
            f"{R}/benchmarks/select_objects.tsv"
        conda:
            "../../envs/cfm.yaml"
        params:
            code=PLAN.code("select_objects"),
            root=lambda wildcards, input: str(Path(input[0]).parent),
            split=DATA.split,
            picture_count=DATA.classification_pictures,
            minimum_side=DATA.minimum_side,
            seed=CONFIGURATION.seed,
        script:
            "../../scripts/select_objects.py"


# Once a run: its parameters are given as functions of the output, which Snakemake does not compare, and its inputs are
# ancient. A rerun of it would hide changes of everything behind it from Snakemake (jobs behind a pending job are not
# looked at, and ancient inputs do not trigger them). Jobs check the weights that they load all the same.
rule preflight:
    input:
        subset=ancient(f"{R}/data/subset.parquet"),
        weights=ancient(PLAN.ready_files),
    output:
        report=f"{R}/preflight.json",
    log:
        f"{R}/logs/preflight.log",
    benchmark:
        f"{R}/benchmarks/preflight.tsv"
    conda:
        "../../envs/cfm.yaml"
    params:
        networks=lambda wildcards, output: PLAN.checked_networks,
        learned_codecs=lambda wildcards, output: PLAN.ready_codecs,
        standard_codecs=lambda wildcards, output: PLAN.standard_codecs,
    script:
        "../../scripts/preflight.py"
