"""The EM loop, the models it fits and what happens to collapsed components."""
