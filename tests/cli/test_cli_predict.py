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


def test_predict_refuses_another_number_of_columns(refused, fgmm):
    fgmm("fit", OLD_FAITHFUL, "--components", 2, "--out", "model.npz")
    message = refused("predict", "model.npz", OLD_FAITHFUL, "--columns", "waiting")
    assert "has 1 column but the model was fitted to 2" in message
