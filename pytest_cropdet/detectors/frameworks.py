"""Which objects are models of TensorFlow or Keras: by the names of their classes, with nothing imported."""

from typing import Any

__all__ = ["model_kind"]

OWNERS = ("keras", "tf_keras", "keras_hub", "keras_cv", "tensorflow")


def model_kind(detector: Any) -> str | None:
    """Return ``keras``, ``module`` or ``signatures`` for a model of TensorFlow, ``None`` for any other object.

    ``keras``: a Keras model; ``module``: a ``tf.Module`` with functions of tensors; ``signatures``: what
    ``tf.saved_model.load`` returned. A class of a user's own whose ``__call__`` is written in Python is none of them:
    it is called as it is.

    >>> model_kind(print) is None
    True
    """
    owners = {(_package(each), each.__name__) for each in type(detector).__mro__}
    if not any(package in OWNERS for package, _ in owners):
        return None
    called = next((vars(each)["__call__"] for each in type(detector).__mro__ if "__call__" in vars(each)), None)
    by_package = next((_package(each) for each in type(detector).__mro__ if "__call__" in vars(each)), None)
    own = called is not None and by_package not in OWNERS and not hasattr(called, "get_concrete_function")
    if own:
        return None
    if any(package in OWNERS and name == "Model" for package, name in owners):
        return "keras"
    if getattr(detector, "signatures", None):
        return "signatures"
    return "module" if any(package == "tensorflow" and name == "Module" for package, name in owners) else None


def _package(owner: type) -> str:
    return owner.__module__.partition(".")[0]
