"""Pictures and annotations.

Needs: nothing for the embedded scenes; a folder in COCO's layout, or the addresses of COCO's files, otherwise.
Makes: data/scenes, data/objects (embedded sets), data/subset.parquet (the chosen pictures, each of them decoded once),
data/{instances,person_keypoints}.json (their annotations), data/objects.parquet (the classification set).

Trainings take the subset as an ancient input: a bad picture ends the run before they start, another choice of pictures
does not train again.
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
            picture_count=lambda wildcards: PLAN.made_pictures(
                wildcards.split, "scenes"
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
        picture_count=lambda wildcards: PLAN.made_pictures(wildcards.split, "objects"),
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
    priority: 10  # what is wrong with the pictures is said before long stages start
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
        priority: 10
        conda:
            "../../envs/cfm.yaml"
        params:
            code=PLAN.code("select_objects"),
            root=lambda wildcards, input: str(Path(input[0]).parent),
            split=DATA.split,
            picture_count=DATA.classification_pictures,
            shard_size=DATA.shard_size,
            minimum_side=DATA.minimum_side,
            seed=CONFIGURATION.seed,
        script:
            "../../scripts/select_objects.py"
