"""A finished run reruns what a change touches, and nothing else."""

import re
import shutil

import pytest

AFTER_ALLOCATION = {"allocate", "evaluate_features", "score", "bd_rate"}
ADDED = "import annotations"
LONG = {"encode", "precode", "sketch", "importance", "detect_originals", "make_scenes"}


@pytest.fixture
def again(finished, tmp_path):
    """The finished run with its files as they were before the test."""
    kept = tmp_path / "kept"
    for name in ("workflow", "scripts", "config", "tests", "Snakefile"):
        source = finished.folder / name
        copy = shutil.copytree if source.is_dir() else shutil.copy2
        kept.mkdir(exist_ok=True)
        copy(source, kept / name)
    yield finished
    for name in ("workflow", "scripts", "config", "tests", "Snakefile"):
        target = finished.folder / name
        shutil.rmtree(target) if target.is_dir() else target.unlink()
        shutil.move(kept / name, target)


def test_a_finished_run_has_nothing_to_do(again):
    done = again.run()
    assert done.returncode == 0
    assert "Nothing to be done" in done.stdout + done.stderr
    assert again.pending() == set()


def test_another_sweep_reruns_allocation_and_what_follows(again):
    again.edit("tests/config/tiny.yaml", "[0.1, 1, 10]", "[0.2, 2, 20]")
    pending = again.pending()
    assert pending >= AFTER_ALLOCATION
    assert "page" in pending
    assert not pending & (LONG | {"fit_loss_rate", "fit_rate_phi", "evaluate_pictures"})


def test_a_changed_plot_reruns_plots(again):
    again.edit("workflow/lib/cfm/reporting/drawing.py", ADDED, f"{ADDED}\n\nONE = 1")
    pending = again.pending()
    assert "page" in pending
    assert {name for name in pending if not name.startswith("draw_")} <= {"page", "all"}
    assert any(name.startswith("draw_") for name in pending)


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("workflow/lib/cfm/codecs/external/pyav.py", "\nclass ", "\n# Why this is so.\nclass "),
        ("scripts/encode.py", "\ndef main", "\n# Why this is so.\ndef main"),
        ("workflow/lib/cfm/allocation/allocate.py", "\ndef ", "\n\n# Why this is so.\ndef "),
        ("workflow/rules/encode.smk", "\nrule encode", "\n# Why this is so.\nrule encode"),
        ("tests/config/tiny.yaml", "run: tiny", "# Why this is so.\nrun: tiny"),
    ],
)
def test_a_comment_reruns_nothing(again, name, old, new):
    again.edit(name, old, new)
    assert again.pending() == set()


def test_a_change_of_the_allocation_leaves_the_image_study_alone(again):
    again.edit("workflow/lib/cfm/allocation/allocate.py", ADDED, f"{ADDED}\n\nONE = 1")
    pending = again.pending()
    assert "allocate" in pending
    assert not pending & (LONG | {"evaluate_pictures"})


def test_a_change_of_one_codec_leaves_the_others_alone(again):
    again.edit("workflow/lib/cfm/codecs/learned/entropy.py", "import annotations", "import annotations\n\nADDED = 1")
    pending = again.pending()
    assert {"encode", "evaluate_pictures"} <= pending
    assert not pending & {"precode", "importance", "evaluate_features"}  # x265 in this run


def test_another_point_of_a_codec_encodes_only_that(again):
    again.edit("tests/config/tiny.yaml", "points: [33, 39, 45]", "points: [33, 39, 42, 45]")
    done = again.run("--dry-run")
    encoded = [line for line in (done.stdout + done.stderr).splitlines() if re.match(r"\s+output: .*/streams/", line)]
    assert len(encoded) == 2  # one a shard
    assert all("/x264/sse/42/" in line for line in encoded)


def test_a_lost_table_or_picture_is_made_again(again):
    for name in ("tables/curves.csv", "figures/rate_accuracy/image_coding.png"):
        (again.folder / "results/tiny" / name).unlink()
    pending = again.pending()
    assert {"bd_rate", "draw_rate_accuracy"} <= pending
    assert not pending & (LONG | {"allocate", "evaluate_features", "evaluate_pictures", "score"})
    assert again.run().returncode == 0


def test_more_bootstraps_rerun_scores_only(again):
    again.edit("tests/config/tiny.yaml", "bootstrap: 20", "bootstrap: 21")
    pending = again.pending()
    assert {"score", "correlation", "bd_rate"} <= pending
    assert not pending & (LONG | {"allocate", "evaluate_features", "evaluate_pictures"})


def test_weights_that_change_are_looked_at_before_anything_runs(again):
    weights = again.folder / "workflow/models/demo/codecs/cheng2020-attn/1.safetensors"
    content = bytearray(weights.read_bytes())
    content[len(content) // 2] ^= 1
    weights.write_bytes(content)
    done = again.run()
    text = done.stdout + done.stderr
    assert done.returncode != 0
    assert "cheng2020-attn/1.safetensors" in text
    assert "Finished jobid" not in text
