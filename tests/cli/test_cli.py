"""The command line, run in this process except where the process itself is the point."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import fastgmm
import fastgmm.__main__
from fastgmm.cli.errors import FileProblem
from fastgmm.cli.files import output
from fastgmm.cli.tables import read_table

ROOT = Path(__file__).parents[2]
OLD_FAITHFUL = ROOT / "examples" / "old_faithful.csv"


@pytest.fixture(autouse=True)
def in_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")


@pytest.fixture
def fgmm(capsys):
    """Run the command; give its exit code and what it wrote to either stream."""

    def run(*arguments):
        code = fastgmm.__main__.main([str(argument) for argument in arguments])
        return code, *capsys.readouterr()

    return run


@pytest.fixture
def refused(fgmm):
    """Run a command that must fail; give its one sentence."""

    def run(*arguments):
        code, out, err = fgmm(*arguments)
        assert (code, out) == (2, "")
        assert err.startswith("Error: ")
        assert err.endswith("\n")
        assert err.count("\n") == 1
        return err.removeprefix("Error: ").strip()

    return run


def files(folder="."):
    return sorted(path.name for path in Path(folder).iterdir())


def rows(out):
    """Cells of the printed table, one list for each component."""
    return [line.split() for line in out.splitlines() if re.match(r"  \d+ ", line)]


def figure(out, name):
    (line,) = (line for line in out.splitlines() if line.startswith(name))
    return float(line.removeprefix(name).split()[0].rstrip(","))


# --- fit


def test_fit_prints_the_mixture_of_old_faithful(fgmm):
    code, out, err = fgmm("fit", OLD_FAITHFUL, "--components", 2)
    assert (code, err) == (0, "")
    short, long = sorted((row[1:] for row in rows(out)), key=lambda row: float(row[0]))
    # The optimum that R's mclust prints for VVV with two components.
    assert short[0] == "0.3559"
    assert long[0] == "0.6441"
    figures = [float(cell.strip("()")) for cell in (*short[1:], *long[1:])]
    expected = [2.036, 0.263, 54.48, 5.83, 4.290, 0.412, 79.97, 5.99]
    np.testing.assert_allclose(figures, expected, rtol=4e-3)
    assert figure(out, "log-likelihood") == pytest.approx(-1130.264, abs=2e-3)
    assert figure(out, "BIC") == pytest.approx(2322.192, abs=4e-3)
    assert "converged" in out
    assert "not converged" not in out


OPTIONS = {
    "--covariance": ("covariance_type", ["full", "tied", "diag", "spherical"]),
    "--init": ("init_params", ["kmeans", "k-means++", "random", "random_from_data"]),
    "--on-collapse": ("on_collapse", ["regularize", "reset", "raise"]),
    "--tol": ("tol", [1e-8]),
    "--max-iter": ("max_iter", [300]),
    "--n-init": ("n_init", [3]),
    "--reg-covar": ("reg_covar", [1e-3]),
    "--seed": ("random_state", [7]),
    "--threads": ("n_threads", [1]),
    "--progress": ("progress", [True]),
}


@pytest.mark.parametrize(
    ("option", "argument", "value"),
    [(option, name, value) for option, (name, values) in OPTIONS.items() for value in values],
)
def test_fit_passes_every_option_on(fgmm, monkeypatch, option, argument, value):
    passed = []

    def spy(X, **arguments):
        passed.append(arguments)
        return original(X, **arguments)

    original = fastgmm.fit
    monkeypatch.setattr(fastgmm, "fit", spy)
    given = (option,) if value is True else (option, value)
    code, out, _ = fgmm("fit", OLD_FAITHFUL, "--components", 2, *given)
    assert code == 0
    assert len(rows(out)) == 2
    assert passed[0][argument] == value


def test_fit_prints_what_the_library_fits(fgmm):
    _, out, _ = fgmm("fit", OLD_FAITHFUL, "--components", 3, "--covariance", "tied", "--seed", 4)
    X = np.loadtxt(OLD_FAITHFUL, delimiter=",", skiprows=1)
    mixture = fastgmm.fit(X, 3, covariance_type="tied", random_state=4)
    assert [row[1] for row in rows(out)] == [f"{weight:.4f}" for weight in mixture.weights]
    means = [[float(row[2]), float(row[4])] for row in rows(out)]
    np.testing.assert_allclose(means, mixture.means, atol=6e-3)
    deviations = [[float(row[3].strip("()")), float(row[5].strip("()"))] for row in rows(out)]
    expected = np.sqrt(np.diag(mixture.covariances))
    np.testing.assert_allclose(deviations, np.tile(expected, (3, 1)), rtol=5e-3)
    assert figure(out, "iterations") == mixture.n_iter
    assert figure(out, "log-likelihood") == pytest.approx(mixture.score(X) * 272, abs=1e-3)


def test_fit_says_when_it_did_not_converge(fgmm):
    code, out, err = fgmm("fit", OLD_FAITHFUL, "--components", 2, "--max-iter", 1)
    assert (code, err) == (0, "")
    assert "1, not converged" in out
    assert "raise --max-iter" in out


def test_fit_names_collapsed_components(fgmm):
    # Ten points around 0, and one value seven times.
    values = [*np.linspace(-1, 1, 10), *[50.0] * 7]
    Path("data.csv").write_text("a\n" + "\n".join(map(str, values)) + "\n")
    code, out, _ = fgmm("fit", "data.csv", "--components", 2)
    assert code == 0
    (k,) = (row[0] for row in rows(out) if float(row[2]) == 50)
    assert f"collapsed       component {k}, kept by --reg-covar; try fewer components" in out
    assert "(0.001" in out  # the root of --reg-covar


def test_wide_table_shows_the_columns_that_fit(fgmm):
    np.save("wide.npy", np.random.default_rng(0).normal(size=(60, 12)))
    code, out, _ = fgmm("fit", "wide.npy", "--components", 2, "--covariance", "diag")
    assert code == 0
    assert "the first 3 of 12 columns" in out
    assert "column_3" in out
    assert "column_4" not in out
    assert max(map(len, out.splitlines())) <= 80


def test_column_names_are_not_markup(fgmm):
    Path("data.csv").write_text("[red]a[/red]\n1\n2\n4\n")
    assert "[red]a[/red]" in fgmm("fit", "data.csv", "--components", 1)[1]


def test_progress_shows_on_a_terminal_and_where_it_is_asked_for(fgmm, monkeypatch):
    arguments = "fit", OLD_FAITHFUL, "--components", 2
    assert fgmm(*arguments)[2] == ""
    assert "log-likelihood -4.15" in fgmm(*arguments, "--progress")[2]
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    code, out, err = fgmm(*arguments)
    assert code == 0
    assert "start 1 of 1" in err
    assert "log-likelihood -4.15" in err
    assert "\r" not in out
    assert "\x1b" not in out
    assert fgmm(*arguments, "--no-progress")[2] == ""


@pytest.mark.parametrize("suffix", [".png", ".pdf", ".svg"])
def test_fit_draws(fgmm, suffix):
    code, out, err = fgmm("fit", OLD_FAITHFUL, "--components", 2, "--plot", f"fit{suffix}")
    assert (code, err) == (0, "")
    assert out.endswith(f"wrote fit{suffix}\n")
    start = {".png": b"\x89PNG", ".pdf": b"%PDF", ".svg": b"<?xml"}[suffix]
    picture = Path(f"fit{suffix}").read_bytes()
    assert picture.startswith(start)
    assert len(picture) > 5000


def test_drawing_without_matplotlib_is_refused(refused, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    message = refused("fit", OLD_FAITHFUL, "--components", 2, "--plot", "fit.png")
    assert 'pip install "fastgmm[plot]"' in message
    assert files() == []


# --- selecting


def models(out):
    """Cells of the table of models, one list for each row."""
    return [line.split() for line in out.splitlines() if line.startswith((" full", " tied"))]


def test_select_marks_the_winner(fgmm):
    code, out, err = fgmm("select", OLD_FAITHFUL, "--components", "1:9", "--n-init", 5)
    assert (code, err) == (0, "")
    assert max(map(len, out.splitlines())) <= 80
    (winner,) = (row for row in models(out) if row[-2:] == ["<-", "best"])
    assert winner[:2] == ["tied", "3"]
    assert float(winner[2]) == pytest.approx(-1126.32, abs=0.03)
    assert float(winner[3]) == pytest.approx(2314.31, abs=0.05)
    assert out.endswith("best by bic (lower is better): tied 3\n")
    assert len(models(out)) == 18
    (note,) = (line for line in out.splitlines() if line.startswith("diag 5: "))
    assert re.fullmatch(r"diag 5: spurious: component \d covariance at the floor", note)


def test_select_writes_what_it_found(fgmm):
    outputs = ("--out", "best.npz", "--table", "all.csv", "--plot", "bic.png")
    arguments = ("--components", "2,3", "--covariance", "tied, full", *outputs)
    code, out, _ = fgmm("select", OLD_FAITHFUL, *arguments)
    assert code == 0
    assert out.endswith("wrote best.npz\nwrote all.csv\nwrote bic.png\n")
    assert files() == ["all.csv", "best.npz", "bic.png"]
    best = fastgmm.load("best.npz")
    assert (best.covariance_type, best.n_components) == ("tied", 3)
    frame = pl.read_csv("all.csv")
    assert frame["covariance_type"].to_list() == ["tied", "tied", "full", "full"]
    assert frame["n_components"].to_list() == [2, 3, 2, 3]
    assert frame["best"].to_list() == [False, True, False, False]


SELECT_OPTIONS = {
    "--components": ("n_components", "2:3", [2, 3]),
    "--covariance": ("covariance_type", "diag,full", ["diag", "full"]),
    "--criterion": ("criterion", "held_out", "held_out"),
    "--folds": ("n_folds", 3, 3),
    "--n-init": ("n_init", 2, 2),
    "--reg-covar": ("reg_covar", 1e-3, 1e-3),
    "--seed": ("random_state", 7, 7),
    "--threads": ("n_threads", 1, 1),
}


@pytest.mark.parametrize("option", SELECT_OPTIONS)
def test_select_passes_every_option_on(fgmm, monkeypatch, option):
    name, text, value = SELECT_OPTIONS[option]
    passed = []

    def spy(X, **arguments):
        passed.append(arguments)
        return original(X, **arguments)

    original = fastgmm.select
    monkeypatch.setattr(fastgmm, "select", spy)
    options = {"--components": "1:2", "--covariance": "tied", option: text}
    code, _, _ = fgmm("select", OLD_FAITHFUL, *(x for pair in options.items() for x in pair))
    assert code == 0
    assert passed[0][name] == value


def test_select_shows_held_out_rows_and_failures(fgmm):
    arguments = ("--components", "2,300", "--covariance", "full", "--criterion", "held_out")
    code, out, _ = fgmm("select", OLD_FAITHFUL, *arguments)
    assert code == 0
    assert "held out" in out
    assert "best by held_out (greater is better): full 2" in out
    assert "full 300: failed: X has 272 rows but n_components is 300" in out


def test_select_without_a_winner_says_so(fgmm):
    Path("data.csv").write_text("a\n" + "0\n1\n" * 10)
    arguments = ("--components", "2", "--covariance", "full", "--out", "best.npz")
    code, out, err = fgmm("select", "data.csv", *arguments)
    assert code == 2
    assert "full 2: spurious" in out
    assert err.startswith(
        "Error: no model can be chosen, because every fit failed or is spurious; try"
    )
    assert files() == ["data.csv"]


def test_an_interrupted_select_keeps_what_is_done(fgmm, monkeypatch):
    X = np.loadtxt(OLD_FAITHFUL, delimiter=",", skiprows=1)
    done = fastgmm.select(X, [2], "full", random_state=0)
    partial = fastgmm.Selection(done.candidates, "bic", interrupted=True)
    monkeypatch.setattr(fastgmm, "select", lambda *_, **__: partial)
    code, out, err = fgmm("select", OLD_FAITHFUL, "--out", "best.npz")
    assert (code, err) == (130, "Interrupted\n")
    assert "best by bic (lower is better): full 2" in out
    assert files() == ["best.npz"]


def test_warmup_compiles(fgmm, monkeypatch):
    calls = []
    monkeypatch.setattr(fastgmm, "precompile", lambda: calls.append(1))
    code, out, err = fgmm("warmup")
    assert (code, err, calls) == (0, "", [1])
    assert out.startswith("kernels compiled and cached in ")


# --- saving and predicting


def test_saved_model_predicts_the_labels_of_the_fit(fgmm):
    arguments = ("--components", 2, "--out", "model.npz", "--labels", "labels.csv")
    code, out, _ = fgmm("fit", OLD_FAITHFUL, *arguments)
    assert code == 0
    assert out.endswith("wrote model.npz\nwrote labels.csv\n")
    X = np.loadtxt(OLD_FAITHFUL, delimiter=",", skiprows=1)
    labels = Path("labels.csv").read_text()
    assert labels == "".join(f"{v}\n" for v in ["label", *fastgmm.load("model.npz").predict(X)])
    assert fgmm("predict", "model.npz", OLD_FAITHFUL) == (0, labels, "")


def test_predict_adds_probabilities(fgmm):
    fgmm("fit", OLD_FAITHFUL, "--components", 3, "--out", "model.npz")
    code, out, err = fgmm("predict", "model.npz", OLD_FAITHFUL, "--proba", "--out", "p.csv")
    assert (code, out, err) == (0, "", "")
    frame = pl.read_csv("p.csv")
    assert frame.columns == ["label", "component_0", "component_1", "component_2"]
    resp = frame[:, 1:].to_numpy()
    X = np.loadtxt(OLD_FAITHFUL, delimiter=",", skiprows=1)
    np.testing.assert_array_equal(resp, fastgmm.load("model.npz").predict_proba(X))
    np.testing.assert_array_equal(frame["label"], resp.argmax(axis=1))


def test_outputs_are_ordinary_files(fgmm):
    Path("elsewhere").mkdir()
    Path("model.npz").symlink_to(Path("elsewhere", "real.npz"))
    old = os.umask(0o027)
    try:
        code, _, _ = fgmm("fit", OLD_FAITHFUL, "--components", 2, "--out", "model.npz")
    finally:
        os.umask(old)
    assert code == 0
    assert Path("model.npz").is_symlink()
    assert Path("elsewhere", "real.npz").stat().st_mode & 0o777 == 0o640
    assert files() == ["elsewhere", "model.npz"]
    assert files("elsewhere") == ["real.npz"]


def fail_with(error):
    def fit(X, **arguments):
        raise error

    return fit


def test_failed_fit_leaves_no_output(refused, monkeypatch):
    Path("labels.csv").write_text("precious")
    error = fastgmm.CollapseError("component 1 collapsed.\nUse fewer.")
    monkeypatch.setattr(fastgmm, "fit", fail_with(error))
    arguments = ("--components", 2, "--out", "model.npz", "--labels", "labels.csv")
    assert refused("fit", OLD_FAITHFUL, *arguments) == "component 1 collapsed. Use fewer."
    assert files() == ["labels.csv"]
    assert Path("labels.csv").read_text() == "precious"


def test_interrupted_fit_leaves_no_output(fgmm, monkeypatch):
    monkeypatch.setattr(fastgmm, "fit", fail_with(KeyboardInterrupt()))
    code, out, err = fgmm("fit", OLD_FAITHFUL, "--components", 2, "--out", "model.npz")
    assert (code, out, err.strip()) == (130, "", "Interrupted")
    assert files() == []


def test_too_little_memory_is_told(refused, monkeypatch):
    monkeypatch.setattr(fastgmm, "fit", fail_with(MemoryError()))
    assert "not enough memory" in refused("fit", OLD_FAITHFUL, "--components", 2)


def test_bugs_keep_their_traceback(fgmm, monkeypatch):
    monkeypatch.setattr(fastgmm, "fit", fail_with(KeyError("oops")))
    with pytest.raises(KeyError, match="oops"):
        fgmm("fit", OLD_FAITHFUL, "--components", 2)


def test_file_is_replaced_only_on_success():
    path = Path("file.csv")
    with output(path) as temporary:
        temporary.write_text("new")
        assert not path.exists()
    assert path.read_text() == "new"

    def interrupted():
        with output(path) as temporary:
            temporary.write_text("half")
            raise KeyError

    with pytest.raises(KeyError):
        interrupted()
    assert path.read_text() == "new"
    assert files() == ["file.csv"]


# --- reading data


def write_table(name):
    frame = pl.read_csv(OLD_FAITHFUL)
    match Path(name).suffix:
        case ".tsv":
            frame.write_csv(name, separator="\t")
        case ".parquet":
            frame.write_parquet(name)
        case ".npy":
            np.save(name, frame.to_numpy())
        case _:
            frame.write_csv(name)


@pytest.mark.parametrize("name", ["d.csv", "d.CSV", "d.tsv", "d.parquet", "d.npy"])
def test_formats_hold_the_same_table(name):
    write_table(name)
    values, columns = read_table(Path(name))
    np.testing.assert_array_equal(values, np.loadtxt(OLD_FAITHFUL, delimiter=",", skiprows=1))
    named = ("column_1", "column_2") if name.endswith(".npy") else ("eruptions", "waiting")
    assert columns == named


def test_columns_are_chosen_in_their_order(fgmm):
    table = read_table(OLD_FAITHFUL, " waiting ,eruptions")
    assert table.columns == ("waiting", "eruptions")
    np.testing.assert_array_equal(table.values[0], [79, 3.6])
    Path("quoted.csv").write_text('"x, y",z\n1,a\n2,b\n')
    assert read_table(Path("quoted.csv"), '"x, y"').values.tolist() == [[1], [2]]
    code, out, _ = fgmm("fit", OLD_FAITHFUL, "--components", 2, "--columns", "waiting")
    assert code == 0
    assert "272 rows, 1 column; 2 full components" in out


@pytest.mark.parametrize("kind", ["f4", "i2", "u1", ">f8"])
def test_npy_keeps_its_type(kind):
    X = np.arange(6, dtype=kind).reshape(3, 2)
    np.save("d.npy", X)
    values = read_table(Path("d.npy")).values
    assert values.dtype == np.dtype(kind)
    np.testing.assert_array_equal(values, X)
    np.testing.assert_array_equal(read_table(Path("d.npy"), "column_2").values, X[:, 1:])


def test_parquet_of_single_precision_stays_single():
    pl.DataFrame(
        {"a": [1.5, 2.5], "b": [1, 2]}, schema={"a": pl.Float32, "b": pl.Int8}
    ).write_parquet("d.parquet")
    assert read_table(Path("d.parquet"), "a").values.dtype == np.float32
    assert read_table(Path("d.parquet")).values.dtype == np.float64


def test_files_made_by_hand_are_read():
    text = '\ufeff"a", b\r\n 1, +2.\r\n.5 ,1e3\r\n"-3",4\r\n\r\n\r\n'
    Path("d.csv").write_bytes(text.encode())
    values, columns = read_table(Path("d.csv"))
    assert columns == ("a", "b")
    assert values.tolist() == [[1, 2], [0.5, 1000], [-3, 4]]


def test_first_line_of_numbers_needs_a_word():
    path = Path("d.csv")
    path.write_text("1,2\n3,4\n")
    with pytest.raises(FileProblem, match=r"--no-header if they are data, or --header"):
        read_table(path)
    assert read_table(path, header=False).values.tolist() == [[1, 2], [3, 4]]
    assert read_table(path, header=False).columns == ("column_1", "column_2")
    assert read_table(path, header=True).values.tolist() == [[3, 4]]


# --- refusals, each in one sentence

UNREADABLE = {
    "empty.csv": ("", "empty.csv is empty; it must hold at least one row"),
    "blank.csv": ("\n\n", "blank.csv cannot be read"),
    "header.csv": ("a,b\n", "header.csv holds no rows of data"),
    "missing.csv": ("a,b\n1,2\n3,\n,5\n", "the value of b in row 2 is missing"),
    "na.csv": ("a,b\n1,2\n3,4\nNA,5\n", "the value of a in row 3 is missing"),
    "nan.csv": ("a,b\n1,nan\n3,4\n", "the value of b in row 1 is missing"),
    "middle.csv": ("a\n1\n\n2\n", "the value of a in row 2 is missing"),
    "inf.csv": ("a,b\n1,2\n3,-inf\n", "the value of b in row 2 is infinite"),
    "text.csv": (
        "a,kind,b\n1,x,2\n",
        'column kind is not numeric (row 1 holds "x"); choose numeric columns with --columns,'
        " such as --columns a",
    ),
    "texts.csv": (
        "a,b,c\n1,2,2020-01-01\n2,two,2020-01-02\n",
        'columns b, c are not numeric (row 2 holds "two"); choose numeric columns with --columns',
    ),
    "all.csv": (
        "a\nx\n",
        'all.csv: column a is not numeric (row 1 holds "x"); every column must hold numbers',
    ),
    "uneven.csv": ("a,b\n1,2\n1,2,3\n", "line 3 has 3 fields, line 1 has 2"),
    "semicolon.csv": ("a;b\n1;2\n", "column a;b is not numeric"),
    "junk.npy": ("junk", "junk.npy is not a .npy file of numbers, or is damaged"),
    "junk.parquet": ("junk", "junk.parquet cannot be read: "),
    "table.xlsx": ("junk", "must end in .csv, .tsv, .parquet or .npy"),
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_unreadable_data_is_refused(refused, name):
    text, reason = UNREADABLE[name]
    Path(name).write_text(text)
    message = refused("fit", name, "--components", 1, "--out", "model.npz")
    assert name in message
    assert reason in message
    assert files() == [name]


UNFIT_ARRAYS = {
    "three": (np.zeros((2, 2, 2)), "not 3 dimensions"),
    "complex": (np.zeros((4, 2), complex), "of complex128"),
    "text": (np.array(["a", "b"]), "real numbers"),
    "scalar": (np.float64(3), "not 0 dimensions"),
    "none": (np.zeros((0, 2)), "no rows"),
    "nan": (np.array([[1, 2], [3, np.nan]]), "the value of column_2 in row 2 is missing"),
}


@pytest.mark.parametrize("name", UNFIT_ARRAYS)
def test_unfit_arrays_are_refused(refused, name):
    X, reason = UNFIT_ARRAYS[name]
    np.save("d.npy", X)
    assert reason in refused("fit", "d.npy", "--components", 1)


def test_pickled_and_truncated_arrays_are_refused(refused):
    np.save("d.npy", np.array([None, 1], dtype=object), allow_pickle=True)
    assert "not a .npy file of numbers" in refused("fit", "d.npy", "--components", 1)
    np.save("d.npy", np.zeros((100, 2)))
    Path("d.npy").write_bytes(Path("d.npy").read_bytes()[:-8])
    assert "damaged" in refused("fit", "d.npy", "--components", 1)


def test_unfit_parquet_is_refused(refused):
    pl.DataFrame({"a": [1, None], "b": ["x", "y"], "c": [True, False]}).write_parquet("d.parquet")
    message = refused("fit", "d.parquet", "--components", 1)
    assert "columns b, c are not numeric (holds String)" in message
    message = refused("fit", "d.parquet", "--components", 1, "--columns", "a")
    assert "the value of a in row 2 is missing" in message


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["fit"], "Missing argument 'DATA'"),
        (["fit", OLD_FAITHFUL], "Missing option '--components'"),
        (["fit", OLD_FAITHFUL, "--components", 0], "0 is not in the range"),
        (["fit", OLD_FAITHFUL, "--components", "two"], "'two' is not a valid integer"),
        (["fit", OLD_FAITHFUL, "--components", 273], "273"),
        (["fit", OLD_FAITHFUL, "--components", 2, "--tol", "-1"], "'--tol'"),
        (["fit", OLD_FAITHFUL, "--components", 2, "--tol", "nan"], "tol"),
        (
            ["fit", OLD_FAITHFUL, "--components", 2, "--covariance", "round"],
            "'round' is not one of 'full', 'tied', 'diag', 'spherical'",
        ),
        (["fit", OLD_FAITHFUL, "--components", 2, "--colums", "a"], "--columns"),
        (
            ["fit", OLD_FAITHFUL, "--components", 2, "--columns", "waiting,height"],
            'has no column "height"; it has eruptions, waiting',
        ),
        (
            ["fit", OLD_FAITHFUL, "--components", 2, "--columns", "waiting,waiting"],
            "twice; name every column once",
        ),
        (["fit", OLD_FAITHFUL, "--components", 2, "--columns", ""], "names no column; list names"),
        (["fit", "none.csv", "--components", 2], "none.csv cannot be read: No such file"),
        (
            ["fit", "folder.csv", "--components", 2],
            "folder.csv is a folder, not a file; name a file",
        ),
        (["fit", OLD_FAITHFUL, "--components", 2, "--out", "m.csv"], "must end in .npz"),
        (["fit", OLD_FAITHFUL, "--components", 2, "--labels", "m.npz"], "must end in .csv"),
        (
            ["fit", OLD_FAITHFUL, "--components", 2, "--labels", OLD_FAITHFUL],
            "same file as DATA; choose",
        ),
        (
            ["fit", OLD_FAITHFUL, "--components", 2, "--out", "none/m.npz"],
            "none/m.npz cannot be written: No such file or directory",
        ),
        (
            ["fit", OLD_FAITHFUL, "--components", 2, "--labels", "folder.csv"],
            "folder.csv is not a regular file; choose another name",
        ),
        (["predict", "none.npz", OLD_FAITHFUL], "none.npz"),
        (["predict", OLD_FAITHFUL, OLD_FAITHFUL], "old_faithful.csv"),
        (["predict", "folder.csv", OLD_FAITHFUL], "folder.csv"),
        (
            ["select", OLD_FAITHFUL, "--components", "9:1"],
            "'9:1' must be a number such as 3, an increasing range such as 1:9",
        ),
        (["select", OLD_FAITHFUL, "--components", "0:3"], "every number must be at least 1"),
        (["select", OLD_FAITHFUL, "--components", "two"], "'two' must be a number such as 3"),
        (["select", OLD_FAITHFUL, "--covariance", "full,round"], "'round' is not one of full"),
        (["select", OLD_FAITHFUL, "--plot", "bic.jpg"], "must end in .png or .pdf or .svg"),
        (["select", OLD_FAITHFUL, "--table", "t.npz"], "must end in .csv"),
        (["guess"], "No such command 'guess'"),
    ],
    ids=lambda value: None if isinstance(value, list) else value,
)
def test_slips_are_refused(refused, arguments, reason):
    Path("folder.csv").mkdir()
    assert reason in refused(*arguments)
    assert files() == ["folder.csv"]
    assert files("folder.csv") == []


def test_predict_refuses_another_number_of_columns(refused, fgmm):
    fgmm("fit", OLD_FAITHFUL, "--components", 2, "--out", "model.npz")
    message = refused("predict", "model.npz", OLD_FAITHFUL, "--columns", "waiting")
    assert "has 1 column but the model was fitted to 2" in message


# --- the process


def test_help_reads_without_the_heavy_imports():
    code = (
        "import sys; from fastgmm.__main__ import main; code = main(['fit', '--help']);"
        " heavy = {'numpy', 'numba', 'polars', 'rich'} & sys.modules.keys();"
        " sys.exit(code or bool(heavy))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], check=False, cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0
    assert "--on-collapse" in done.stdout


def test_module_runs_and_a_closed_pipe_is_quiet(fgmm):
    np.save("d.npy", np.random.default_rng(0).normal(size=(200_000, 1)))
    fgmm("fit", "d.npy", "--components", 1, "--out", "model.npz")
    with subprocess.Popen(
        [sys.executable, "-m", "fastgmm", "predict", "model.npz", "d.npy"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout.readline() == b"label\n"
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 1


def test_no_command_prints_help(fgmm):
    code, out, err = fgmm()
    assert (code, err) == (0, "")
    assert {"fit", "predict", "select", "warmup"} <= set(out.split())
    assert fgmm("--version") == (0, f"fastgmm {fastgmm.__version__}\n", "")


def test_missing_extra_is_told(fgmm, monkeypatch):
    monkeypatch.setattr(fastgmm.__main__, "find_spec", lambda name: None)
    code, out, err = fgmm("fit", OLD_FAITHFUL, "--components", 2)
    assert (code, out) == (2, "")
    assert err == (
        "Error: the command line needs click, polars, rich, tqdm;"
        ' install with: pip install "fastgmm[cli]"\n'
    )
