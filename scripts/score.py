"""Score operating points: detections and streams against the annotations."""

from pathlib import Path

from cfm.evaluation.scoring import Draws, load_truth, save_draws, score_entries, scores_table
from cfm.job import job
from cfm.reporting.tables import read_table, write_table


def main() -> None:
    """Score `params.settings` (see `score_entries`) of one study and task, on the pictures of `input.subset`.

    `input.annotations` is absent for classification. Writes `output.scores` and `output.draws`.
    """
    params = snakemake.params
    given = snakemake.input
    truth = load_truth(
        read_table(given.subset, "subset"), given.get("annotations"), params.task, given.get("uncompressed", [])
    )
    draws = Draws(params.seed, params.repeats)
    scored = score_entries(params.study, params.task, params.settings, truth, draws)
    save_draws(Path(snakemake.output.draws), scored, truth, draws)
    write_table(scores_table(scored), snakemake.output.scores, "scores", csv=True)


if __name__ == "__main__":
    with job(snakemake.log[0]):
        main()
