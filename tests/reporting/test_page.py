"""The page: one file, well formed, with the numbers that it was given and the doubts about them."""

import re
from html.parser import HTMLParser

import pytest

from cfm.errors import InputError
from cfm.reporting.curve_figures import rate_accuracy
from cfm.reporting.drawing import save_figure
from cfm.reporting.page import PageFigure, Run, render_page, write_page
from cfm.reporting.page_tables import CAPTIONS, caption
from cfm.reporting.times import rule_times

VOID = {"meta", "img", "br", "hr", "link", "input"}


class Checker(HTMLParser):
    """Collects text and references, and sees that every element is closed."""

    def __init__(self):
        super().__init__()
        self.open, self.references, self.text, self.ids, self.tags = [], [], [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        attributes = dict(attrs)
        self.references += [attributes[name] for name in ("src", "href") if name in attributes]
        self.ids += [attributes["id"]] if "id" in attributes else []
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


@pytest.fixture
def run():
    return Run("test", "Coding for machines <&>", True, "seed: 7\nnote: '<script>'", "abc123", 7)


@pytest.fixture
def times(made_up):
    return made_up.make_times()


@pytest.fixture
def figures(tables, tmp_path):
    path = tmp_path / "curves.svg"
    save_figure(rate_accuracy(tables["curves"], "image_coding"), path)
    return [PageFigure("image_coding", "rate_accuracy", "Rate and accuracy", path)]


@pytest.fixture
def page(run, tables, figures, times):
    checker = Checker()
    checker.feed(render_page(run, tables, figures, times))
    checker.close()
    return checker


def test_the_page_is_well_formed_and_refers_to_nothing_outside(page):
    assert page.open == []
    assert page.references
    for reference in page.references:
        assert reference.startswith("data:image/svg+xml;base64,") or reference[1:] in page.ids
    assert "script" not in page.tags
    assert "link" not in page.tags


def test_the_page_holds_the_numbers_and_the_verdicts(page, tables):
    text = " ".join(page.text).replace("−", "-")
    for row in tables["bd_rate"].to_dict("records"):
        if row["comparable"]:
            assert f"{row['bd_rate_percent']:+.2f} %" in text
            assert f"[{row['low']:+.1f}, {row['high']:+.1f}]" in text
        else:
            assert f"not comparable: {row['reason']}" in text
    assert not tables["bd_rate"]["comparable"].all()
    assert "not significant" in text
    for value in tables["curves"]["rate_bpp"]:
        assert value == 0 or f"{value:.4f}" in text
    for needed in ("This is a demo", "abc123", "34.6", "Coding for machines <&>", "note: '<script>'", "48 pictures"):
        assert needed in text
    assert caption("rate_accuracy") in text
    for row in tables["bit_shares"].to_dict("records"):
        assert f"{100 * row['bit_share']:.1f} %" in text
    assert all(value in text for value in ("avc/idse", "1.25", "0.012", "0.083"))


def test_without_demo_there_is_no_banner_and_no_study_that_was_not_run(run, tables, times):
    real = Run(**{**vars(run), "demo": False})
    kept = {name: tables[name] for name in ("curves", "bd_rate")}
    kept = {name: rows[rows["study"] == "distillation"] for name, rows in kept.items()}
    text = render_page(real, kept, [], times)
    assert "This is a demo" not in text
    assert re.findall(r'<section id="(\w+)">', text) == ["distillation", "times", "provenance"]


def test_the_page_is_written_whole_or_not_at_all(run, tables, figures, times, tmp_path):
    path = tmp_path / "report" / "index.html"
    write_page(path, run, tables, figures, times)
    before = path.read_bytes()
    absent = PageFigure("image_coding", "rate_accuracy", "x", tmp_path / "absent.svg")
    with pytest.raises(InputError, match=r"absent\.svg: no such figure"):
        write_page(path, run, tables, [absent], times)
    assert path.read_bytes() == before
    assert [file.name for file in path.parent.iterdir()] == ["index.html"]


def test_every_caption_is_plain_sentences():
    for path in CAPTIONS.glob("*.rst"):
        assert caption(path.stem).endswith(".")
        assert "{{" not in caption(path.stem)
    with pytest.raises(InputError, match="no such caption"):
        caption("absent")


def test_times_are_summed_by_rule(tmp_path):
    header = "s\th:m:s\tmax_rss\tmax_vms\tmax_uss\tmax_pss\tio_in\tio_out\tmean_load\tcpu_time\n"
    for name, seconds, memory in (("encode/x264/0", 1.5, "100.5"), ("encode/x265/0", 2.5, "-"), ("bd_rate", 9.0, "7")):
        path = tmp_path / f"{name}.tsv"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{header}{seconds}\t0:00:01\t{memory}\t-\t-\t-\t-\t-\t-\t1.0\n")
    rows = rule_times(tmp_path).to_dict("records")
    assert rows == [
        {"rule": "bd_rate", "jobs": 1, "total_s": 9.0, "longest_s": 9.0, "memory_mb": 7.0},
        {"rule": "encode", "jobs": 2, "total_s": 4.0, "longest_s": 2.5, "memory_mb": 100.5},
    ]
    (tmp_path / "encode" / "broken.tsv").write_text("nothing")
    with pytest.raises(InputError, match=r"broken\.tsv: not a benchmark"):
        rule_times(tmp_path)
