"""The EM loop, the models that it fits, and the repair of collapsed components."""
