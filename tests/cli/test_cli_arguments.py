"""Wrong arguments, each refused in one sentence, with nothing written."""

from pathlib import Path

import pytest

OLD_FAITHFUL = Path(__file__).parents[2] / "examples" / "old_faithful.csv"


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["fit"], "Missing argument 'DATA...'"),
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
            "the folder folder.csv has no file that ends in .parquet",
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
def test_wrong_arguments_are_refused(refused, arguments, reason, files):
    Path("folder.csv").mkdir()
    assert reason in refused(*arguments)
    assert files() == ["folder.csv"]
    assert files("folder.csv") == []
