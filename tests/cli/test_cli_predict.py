"""``fastgmm predict``: the labels and probabilities of a saved model."""

from pathlib import Path

import numpy as np
import polars as pl

import fastgmm

OLD_FAITHFUL = Path(__file__).parents[2] / "examples" / "old_faithful.csv"


def test_saved_model_predicts_the_labels_of_the_fit(fgmm):
    arguments = ("--components", 2, "--out", "model.npz", "--labels", "labels.csv")
    code, out, _ = fgmm("fit", OLD_FAITHFUL, *arguments)
    assert code == 0
    assert out.endswith("wrote model.npz\nwrote labels.csv\n")
    X = pl.read_csv(OLD_FAITHFUL)
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
    X = pl.read_csv(OLD_FAITHFUL)
    np.testing.assert_array_equal(resp, fastgmm.load("model.npz").predict_proba(X))
    np.testing.assert_array_equal(frame["label"], resp.argmax(axis=1))


def test_predict_refuses_another_number_of_columns(refused, fgmm):
    fgmm("fit", OLD_FAITHFUL, "--components", 2, "--out", "model.npz")
    message = refused("predict", "model.npz", OLD_FAITHFUL, "--columns", "waiting")
    assert "has 1 column but the model was fitted to 2" in message


def test_columns_are_matched_by_name(fgmm):
    """Another order, and further columns even of text, change no label."""
    fgmm("fit", OLD_FAITHFUL, "--components", 2, "--out", "model.npz")
    assert fastgmm.load("model.npz").feature_names == ("eruptions", "waiting")
    _, labels, _ = fgmm("predict", "model.npz", OLD_FAITHFUL)
    frame = pl.read_csv(OLD_FAITHFUL)
    frame.select("waiting", pl.lit("x").alias("kind"), "eruptions").write_csv("other.csv")
    code, out, err = fgmm("predict", "model.npz", "other.csv")
    assert (code, out) == (0, labels)
    assert err == (
        "Note: other.csv: columns are matched by name, in the order of the fit: eruptions,"
        " waiting\n"
    )
    chosen = fgmm("predict", "model.npz", "other.csv", "--columns", "waiting,eruptions")
    assert chosen == (0, labels, err)


def test_other_columns_are_refused(fgmm, refused):
    fgmm("fit", OLD_FAITHFUL, "--components", 2, "--out", "model.npz")
    pl.read_csv(OLD_FAITHFUL).rename({"waiting": "pause"}).write_csv("other.csv")
    message = refused("predict", "model.npz", "other.csv")
    assert 'other.csv has no column "waiting"; it has eruptions, pause' in message
    message = refused("predict", "model.npz", "other.csv", "--columns", "eruptions,pause")
    assert "was fitted to the columns eruptions, waiting, not to eruptions, pause" in message


def test_files_without_names_are_taken_as_they_are(fgmm):
    fgmm("fit", OLD_FAITHFUL, "--components", 2, "--out", "model.npz")
    _, labels, _ = fgmm("predict", "model.npz", OLD_FAITHFUL)
    np.save("rows.npy", np.loadtxt(OLD_FAITHFUL, delimiter=",", skiprows=1))
    assert fgmm("predict", "model.npz", "rows.npy") == (0, labels, "")
    fgmm("fit", "rows.npy", "--components", 2, "--out", "unnamed.npz")
    assert fastgmm.load("unnamed.npz").feature_names is None
    assert fgmm("predict", "unnamed.npz", OLD_FAITHFUL) == (0, labels, "")


def test_a_model_of_row_numbers_gets_them(fgmm):
    """Who chose the column in the fit has it in the prediction."""
    pl.read_csv(OLD_FAITHFUL).with_row_index("").write_csv("numbered.csv")
    code, _, _ = fgmm("fit", "numbered.csv", "--components", 2, "--columns", '"",waiting', "--out",
                      "model.npz", "--labels", "labels.csv")  # fmt: skip
    assert code == 0
    code, labels, _ = fgmm("predict", "model.npz", "numbered.csv")
    assert (code, labels) == (0, Path("labels.csv").read_text())
