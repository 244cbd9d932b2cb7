"""Models of formats that have no adapter: what each is, and what to do with it."""

from pathlib import Path

__all__ = ["foreign_advice"]

_FUNCTION = "or load it in a function of your own and name that, package.module:factory"
_ONNX = f"export it to ONNX, {_FUNCTION}"
_ENDINGS = {
    (".pt", ".pth", ".torchscript"): f"a PyTorch file; {_ONNX} (Ultralytics: yolo export model=FILE format=onnx)",
    (".safetensors",): f"weights without a network; {_ONNX}, as a pipeline of transformers",
    (".mlmodel", ".mlpackage", ".mlmodelc"): f"a Core ML model; export its source to ONNX or TFLite, {_FUNCTION}",
    (".engine", ".plan", ".trt"): f"a TensorRT engine; give the ONNX file that it was built from, {_FUNCTION}",
    (".weights", ".cfg"): f"a Darknet model; convert it to ONNX, {_FUNCTION}",
    (".caffemodel", ".prototxt"): f"a Caffe model; convert it to ONNX, {_FUNCTION}",
    (".pdmodel", ".pdiparams"): f"a Paddle model; {_ONNX} (paddle2onnx)",
    (".ckpt", ".index", ".meta"): (
        "a checkpoint of TensorFlow, which has no network; export it as a SavedModel (Object Detection API: "
        "exporter_main_v2.py)"
    ),
}
_INSIDE = {
    "model.json": (
        "a TensorFlow.js model; give the SavedModel or Keras file that it was converted from, or convert it back "
        "(tensorflowjs_converter, tfjs-to-tf)"
    ),
    "checkpoint": _ENDINGS[".ckpt", ".index", ".meta"],
    "model.safetensors": _ENDINGS[".safetensors",],
    "pytorch_model.bin": _ENDINGS[".pt", ".pth", ".torchscript"],
}


def foreign_advice(path: Path) -> str | None:
    """Return what a model of another format is and what to do with it; ``None`` if its name shows none that is known.

    >>> foreign_advice(Path("net.engine")).partition(";")[0]
    'a TensorRT engine'
    """
    if path.suffix.lower() == ".xml" and path.with_suffix(".bin").is_file():
        return f"an OpenVINO model; give the file that it was converted from, {_FUNCTION}"
    for name, advice in _INSIDE.items():
        if path.name == name or (path.is_dir() and (path / name).is_file()):
            return advice
    return next((advice for endings, advice in _ENDINGS.items() if path.suffix.lower() in endings), None)
