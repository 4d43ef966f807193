"""Figures: what is drawn and written, labels that do not collide, files that depend on the data alone."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from cfm.evaluation.correlation import correlation_table
from cfm.reporting.coding_figures import bit_shares_by_scheme, coding_maps, decisions_bars
from cfm.reporting.curve_figures import rate_accuracy, scheme_curves, size_sensitivity_curves
from cfm.reporting.drawing import colours_of, save_figure, spread
from cfm.reporting.fit_figures import allocation_weights, loss_of_fit, loss_rate_fits, rate_of_fit, rate_phi_fits
from cfm.reporting.sensitivity_figures import idse_scatter, importance_maps, shown_schemes
from cfm.reporting.training_figures import training_curves


def texts(figure):
    return [text.get_text() for axes in figure.axes for text in axes.texts]


def draw_all(tables, made_up):
    tables = {name: rows[rows["task"] == "detection"] if "task" in rows else rows for name, rows in tables.items()}
    yield rate_accuracy(tables["curves"], "image_coding")
    yield rate_accuracy(tables["curves"], "feature_coding")
    yield scheme_curves(tables["curves"], "x265")
    yield idse_scatter(tables["distances"], tables["idse_correlation"], "detection")
    guided = made_up.make_guided_distances(np.random.default_rng(1))
    yield idse_scatter(guided, correlation_table(guided, np.random.default_rng(1), 5), "detection")
    yield importance_maps(*made_up.make_pictures(), 16)
    yield coding_maps(*made_up.make_pictures(), made_up.make_coded_maps(), 16)
    yield bit_shares_by_scheme(tables["bit_shares"])
    yield decisions_bars(made_up.make_decisions(np.random.default_rng(1)), "detection", list(made_up.DECIDED))
    yield loss_rate_fits(tables["loss_rate_points"], tables["loss_rate_fit"], tables["importance"])
    yield rate_phi_fits(tables["rate_phi_points"], tables["rate_phi_fit"])
    yield size_sensitivity_curves(tables["sensitivity_by_size"], "detection", "elic")
    yield allocation_weights(tables["importance"])
    yield training_curves(made_up.make_trainings(), "feature_coding")


def test_all_figures_are_written_as_svg_and_png(tables, made_up, tmp_path):
    for n, figure in enumerate(draw_all(tables, made_up)):
        path = tmp_path / f"{n}.svg"
        save_figure(figure, path)
        assert b"<dc:date>" not in path.read_bytes()
        with Image.open(path.with_suffix(".png")) as picture:
            assert min(picture.size) > 300
            assert len(np.unique(np.asarray(picture))) > 20
        for axes in figure.axes:
            assert axes.get_ylabel() or axes is not figure.axes[0] or not axes.axison
    assert len(list(tmp_path.iterdir())) == 2 * (n + 1)


def test_the_same_data_give_the_same_bytes(tables, tmp_path):
    for name in ("a", "b"):
        save_figure(rate_accuracy(tables["curves"], "distillation"), tmp_path / f"{name}.svg")
    for suffix in ("svg", "png"):
        assert (tmp_path / f"a.{suffix}").read_bytes() == (tmp_path / f"b.{suffix}").read_bytes()


def test_curves_are_named_with_the_uncompressed_line(tables):
    figure = rate_accuracy(tables["curves"], "image_coding")
    assert sorted(texts(figure)) == ["cheng2020-attn", "uncompressed", "vvenc", "x264", "x265"]
    assert figure.axes[0].get_xlabel() == "rate [bit/pixel]"
    figure = rate_accuracy(tables["curves"], "distillation")
    assert sorted(texts(figure)) == ["ground truth", "objectness", "uncompressed", "unweighted"]
    assert len(rate_accuracy(tables["curves"], "feature_coding").axes) == 6


def test_several_codecs_with_several_schemes_are_told_apart(tables):
    coded = tables["curves"].query("study == 'image_coding'")
    other = coded[coded["codec"] == "x265"].assign(scheme="idse")
    figure = rate_accuracy(pd.concat([coded, other]), "image_coding")
    assert {"x265, sse", "x265, idse", "vvenc"} <= set(texts(figure))


def test_of_a_codec_with_many_schemes_those_that_are_asked_for_are_drawn(tables):
    coded = tables["curves"].query("study == 'image_coding'")
    others = [coded[coded["codec"] == "x265"].assign(scheme=name) for name in ("idse", "idse_dqp")]
    figure = rate_accuracy(pd.concat([coded, *others]), "image_coding", {"x265": ["sse", "idse"]})
    assert {"x265, sse", "x265, idse", "vvenc"} <= set(texts(figure))
    assert "x265, idse_dqp" not in texts(figure)


def test_schemes_with_deltas_are_dashed_in_the_colour_of_those_without(tables):
    coded = tables["curves"].query("study == 'image_coding' and codec == 'x265' and task == 'detection'")
    names = ("idse", "idse_dqp", "static_dqp")
    curves = pd.concat([coded, *(coded.assign(scheme=name) for name in names)])
    figure = scheme_curves(pd.concat([curves, curves.assign(metric="fidelity_db")]), "x265")
    lines = {(line.get_color(), line.get_linestyle()) for line in figure.axes[1].lines}
    # A scheme that there is with delta-QPs alone is named and drawn whole.
    assert set(texts(figure)) == {"sse", "idse", "static_dqp"}
    assert len(lines) == 4
    assert len({colour for colour, _ in lines}) == 3
    assert sum(style == "--" for _, style in lines) == 1


def test_a_study_without_rows_or_without_accuracy_is_drawn(tables, tmp_path):
    save_figure(rate_accuracy(tables["curves"][:0], "distillation"), tmp_path / "empty.svg")
    nowhere = tables["curves"].assign(quality=np.nan, quality_low=np.nan, quality_high=np.nan)
    assert texts(rate_accuracy(nowhere, "distillation")) == []
    nothing = tables["curves"].assign(quality=0.0, quality_low=0.0, quality_high=0.0)
    save_figure(rate_accuracy(nothing, "distillation"), tmp_path / "nothing.svg")


def test_fitted_lines_go_through_their_points(tables):
    fits, points = tables["rate_phi_fit"], tables["rate_phi_points"]
    fit = fits[(fits["codec"] == "vvenc") & (fits["scale"] == 1)].iloc[0]
    chosen = points[(points["codec"] == "vvenc") & (points["scale"] == 1) & (points["task"] == fit["task"])]
    np.testing.assert_allclose(rate_of_fit(fit, chosen["phi"].to_numpy()), chosen["rate"], rtol=1e-6)
    models = tables["loss_rate_fit"].drop_duplicates("model").set_index("model", drop=False)
    rate = np.array([0.5, 2.0])
    np.testing.assert_allclose(loss_of_fit(models.loc["cauchy"], rate), 0.2 * rate**-0.7)
    np.testing.assert_allclose(loss_of_fit(models.loc["quadratic"], rate), [0.45, 0.0], atol=1e-12)
    np.testing.assert_allclose(loss_of_fit(models.loc["inverse"], rate), 0.1 / rate + 0.001 / rate**2)


@pytest.mark.parametrize("count", [0, 1, 2, 7])
def test_labels_keep_their_distance_order_and_mean(count):
    rng = np.random.default_rng(count)
    wanted = list(rng.uniform(0, 0.2, count))
    placed = np.array(spread(wanted, 0.1))
    order = np.argsort(wanted)
    assert (np.diff(placed[order]) >= 0.1 - 1e-9).all()
    assert placed.sum() == pytest.approx(sum(wanted))
    assert spread([0.0, 1.0], 0.1) == [0.0, 1.0]


def test_names_keep_their_colours():
    assert colours_of(["x264", "vvenc"])["vvenc"] == colours_of(["vvenc"])["vvenc"]
    assert len(set(colours_of(["a", "b"]).values())) == 2
    assert len(set(colours_of(["x265", "vvenc", *"abcdefghijkl"]).values())) == 14


def test_the_scatter_shows_few_schemes_of_a_guided_encoder(made_up, tables):
    guided = made_up.make_guided_distances(np.random.default_rng(1))
    assert shown_schemes(guided) == [("avc", "sse"), ("avc", "idse_sketch"), ("avc", "idse")]
    assert shown_schemes(tables["distances"]) == [("vvenc", "sse"), ("x264", "sse"), ("x265", "sse")]
    renamed = guided.replace({"scheme": {"idse": "levels", "idse_sketch": "partition"}})
    assert shown_schemes(renamed) == [("avc", "sse"), ("avc", "levels"), ("avc", "partition")]
    figure = idse_scatter(guided, correlation_table(guided, np.random.default_rng(1), 5), "detection")
    circles = [sum(line.get_markerfacecolor() == "none" for line in axes.lines) for axes in figure.axes]
    assert circles == [2, 3, 3]  # of each point, and one in the legend
    assert len(idse_scatter(tables["distances"][:0], tables["idse_correlation"], "detection").axes) == 1


def test_maps_are_drawn_where_they_vary(made_up):
    figure = coding_maps(*made_up.make_pictures(), made_up.make_coded_maps(), 16)
    titles = [axes.get_title() or axes.get_title("left") for axes in figure.axes[:10]]
    assert titles[2:5] == ["sse: 0.310 bpp", "idse_dqp: QP − slice's", "idse_dqp: 0.290 bpp"]
    assert len(figure.axes) == 2 * 5 + 3
    plain = [row[:1] for row in made_up.make_coded_maps()]
    assert len(coding_maps(*made_up.make_pictures(), plain, 16).axes) == 2 * 3 + 2


def test_decisions_are_compared_with_the_squared_error_alone(made_up):
    table = made_up.make_decisions(np.random.default_rng(1))
    figure = decisions_bars(table, "detection", list(made_up.DECIDED))
    widths = [[bar.get_width() for bar in axes.patches] for axes in figure.axes]
    of_hevc = table[table["anchor"] == "hevc/sse"]["bd_rate_percent"]
    assert widths[1] == list(of_hevc)
    assert len(widths[0]) == len(made_up.DECIDED) - 1  # one is not comparable
    assert len(decisions_bars(table[:0], "detection", list(made_up.DECIDED)).axes) == 1


def test_shares_of_no_pictures_are_drawn(tables):
    assert len(bit_shares_by_scheme(tables["bit_shares"][:0]).axes) == 1


def test_a_codec_without_a_task_leaves_its_panel_out(tables):
    names = ("loss_rate_points", "loss_rate_fit", "rate_phi_points", "rate_phi_fit", "importance")
    left = {name: tables[name].query("codec != 'vvenc' or task != 'keypoints'") for name in names}
    figure = rate_phi_fits(left["rate_phi_points"], left["rate_phi_fit"])
    assert [axes.axison for axes in figure.axes] == [True, True, True, False]
    figure = loss_rate_fits(left["loss_rate_points"], left["loss_rate_fit"], left["importance"])
    assert sum(axes.axison for axes in figure.axes) == 3
    assert len(allocation_weights(tables["importance"][:0]).axes) == 1
