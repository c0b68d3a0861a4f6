"""Conditions and densities of incomplete rows: figures that other packages gave.

Each example is the one in the README of a package, after its fit. The parameters were rounded, and
the package gave the figures for the rounded parameters.
"""

import numpy as np

import fastgmm


def test_gmr():
    """gmr 2.0.3: `GMM.predict` and `GMM.condition`, 3 components in 2 features."""
    mixture = fastgmm.Mixture.from_parameters(
        [0.19, 0.76, 0.05],
        [[-0.92, -0.4], [0.1, 0.18], [1.77, 1.57]],
        [[[0.08, -0.13], [-0.13, 1.13]], [[0.9, -0.29], [-0.29, 0.85]],
         [[0.23, -0.2], [-0.2, 0.18]]],
    )  # fmt: skip
    X = np.column_stack([[-1.5, 0.0, 0.4, 2.0], np.full(4, np.nan)])
    expected = [0.6499305314109658, 0.20371914589160875, 0.08946909409519745, 0.40206726590400255]
    np.testing.assert_allclose(mixture.conditional_mean(X)[:, 1], expected, rtol=1e-10)
    given = mixture.condition({0: 0.4})
    weights = [1.6396597935337284e-05, 0.9976763131239652, 0.002307290278099299]
    np.testing.assert_allclose(given.weights, weights, rtol=1e-10)
    means = [-2.545, 0.08333333333333333, 2.761304347826087]
    np.testing.assert_allclose(given.means[:, 0], means, rtol=1e-10)
    variances = [0.91875, 0.7565555555555555, 0.006086956521739129]
    np.testing.assert_allclose(given.covariances[:, 0, 0], variances, rtol=1e-10)


def test_cgmm():
    """cgmm 0.5.1: `GMMConditioner` with `reg_covar=0`, 3 components in 3 features."""
    mixture = fastgmm.Mixture.from_parameters(
        [0.34, 0.37, 0.29],
        [[0.1, -0.65, 0.21], [-0.09, 0.3, -0.84], [-0.35, 0.46, 0.7]],
        [[[1.0, 0.14, 0.03], [0.14, 0.56, 0.0], [0.03, 0.0, 0.75]],
         [[0.93, -0.04, 0.02], [-0.04, 0.87, 0.09], [0.02, 0.09, 0.56]],
         [[0.92, 0.12, 0.05], [0.12, 0.64, -0.02], [0.05, -0.02, 0.57]]],
    )  # fmt: skip
    given = mixture.condition({0: 0.5})
    weights = [0.3753371324478851, 0.3805116668660869, 0.24415120068602802]
    np.testing.assert_allclose(given.weights, weights, rtol=1e-10)
    means = [
        [-0.594, 0.222],
        [0.27462365591397847, -0.8273118279569892],
        [0.5708695652173913, 0.746195652173913],
    ]
    np.testing.assert_allclose(given.means, means, rtol=1e-10)
    covariances = [
        [[0.5404, -0.0042], [-0.0042, 0.7491]],
        [[0.8682795698924731, 0.09086021505376343], [0.09086021505376343, 0.5595698924731183]],
        [[0.6243478260869565, -0.026521739130434784], [-0.026521739130434784, 0.5672826086956522]],
    ]
    np.testing.assert_allclose(given.covariances, covariances, rtol=1e-10)
    mean = mixture.conditional_mean([[0.5, np.nan, np.nan]])[0, 1:]
    np.testing.assert_allclose(mean, [0.020925738181579796, -0.04929239484555818], rtol=1e-10)


def test_askcarl():
    """askcarl 3.0.1: `GaussianMixture.logpdf`, 3 components in 3 features of Iris.

    A missing value is a censored one with the limit infinity there.
    """
    mixture = fastgmm.Mixture.from_parameters(
        [0.43, 0.33, 0.24],
        [[6.06, 2.82, 4.5], [5.01, 3.43, 1.46], [6.63, 2.97, 5.67]],
        [[[0.283, 0.097, 0.251], [0.097, 0.096, 0.112], [0.251, 0.112, 0.373]],
         [[0.122, 0.097, 0.016], [0.097, 0.141, 0.011], [0.016, 0.011, 0.03]],
         [[0.511, 0.11, 0.384], [0.11, 0.12, 0.078], [0.384, 0.078, 0.335]]],
    )  # fmt: skip
    nan = np.nan
    X = [[5, 3.5, 1.5], [6, 5, 5], [5.5, 3, nan], [nan, 3, nan], [nan, 3, 4.5]]
    expected = [
        0.2703522192489522,
        -25.965557852459355,
        -2.019974559707064,
        -0.0779150431097313,
        -1.0129067640922267,
    ]
    np.testing.assert_allclose(mixture.score_samples(X, missing="em"), expected, rtol=1e-10)
