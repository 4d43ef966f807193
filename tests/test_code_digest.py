"""The digest that decides reruns: code counts, comments and docstrings do not, imports are followed."""

import pytest

from cfm import code_digest as module
from cfm.code_digest import code_digest


@pytest.fixture
def library(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "LIBRARY", tmp_path)
    package = tmp_path / "cfm"
    (package / "codecs").mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "codecs" / "__init__.py").write_text("")
    (package / "a.py").write_text('"""A."""\nfrom cfm import b\n\n\ndef f():\n    """F."""\n    return b.VALUE\n')
    (package / "b.py").write_text("VALUE = 1\n")
    (package / "codecs" / "one.py").write_text("ONE = 1\n")
    (package / "unused.py").write_text("VALUE = 1\n")
    script = tmp_path / "script.py"
    lines = ["from cfm.a import f", "", "", "def main():", "    from cfm.codecs.one import ONE", "    return f() + ONE"]
    script.write_text("\n".join(lines) + "\n")
    return tmp_path


def rewrite(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    module.parsed.cache_clear()


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("script.py", "def main", "# Why.\ndef main"),
        ("cfm/a.py", '"""F."""', '"""Something else."""'),
        ("cfm/a.py", '"""A."""', '"""Another."""'),
        ("cfm/b.py", "VALUE = 1", "VALUE  =  1  # one"),
        ("cfm/unused.py", "1", "2"),
    ],
)
def test_what_does_not_run_does_not_count(library, file, old, new):
    before = code_digest(library / "script.py")
    rewrite(library / file, old, new)
    assert code_digest(library / "script.py") == before


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("script.py", "f() + ONE", "f() - ONE"),
        ("cfm/a.py", "b.VALUE", "2 * b.VALUE"),
        ("cfm/b.py", "1", "2"),
        ("cfm/codecs/one.py", "1", "2"),
        ("cfm/codecs/__init__.py", "", "X = 1"),
    ],
)
def test_what_runs_counts_through_all_imports(library, file, old, new):
    before = code_digest(library / "script.py")
    rewrite(library / file, old, new)
    assert code_digest(library / "script.py") != before


def test_a_package_that_is_not_used_can_be_left_out(library):
    before = code_digest(library / "script.py", without=("cfm.codecs",))
    rewrite(library / "cfm/codecs/one.py", "1", "2")
    assert code_digest(library / "script.py", without=("cfm.codecs",)) == before


def test_modules_named_in_a_configuration_can_be_added(library):
    before = code_digest(library / "script.py", ("cfm.unused",))
    rewrite(library / "cfm/unused.py", "1", "2")
    assert code_digest(library / "script.py", ("cfm.unused",)) != before
