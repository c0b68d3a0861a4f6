"""The functions and classes that `fastgmm` exports, and the checks of their arguments."""
