"""MediaPipe's BlazePose networks as the ONNX files in `weights/`: `python benchmarks/blazepose.py MEDIAPIPE.whl -o weights` (weights/BLAZEPOSE.md).

Needs `pip install "tensorflow-cpu<2.19" tf2onnx "onnx<1.18" "numpy<2"`, an environment of its own; nothing else here does. The wheel is mediapipe 0.10.21;
later ones hold no models. Nothing is learnt or changed but the file format: sparse weights are written out, weights stay in half precision as they come,
outputs that nobody here reads are left out.
"""

import argparse
import tempfile
import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

MODELS = {
    "blazepose_detector.onnx": ("mediapipe/modules/pose_detection/pose_detection.tflite", ("Identity", "Identity_1")),
    "blazepose.onnx": ("mediapipe/modules/pose_landmark/pose_landmark_full.tflite", ("Identity", "Identity_1", "Identity_2")),
}
LEAST_VALUES = 256  # smaller weights stay in single precision
NOTICE = (
    "Copyright The MediaPipe Authors, Apache License 2.0. Changed by ncpifu: converted from TensorFlow Lite to ONNX, sparse weights written out, "
    "outputs left out that it does not read. Origin: {} of the wheel mediapipe 0.10.21."
)


def dense_weights(model: Path) -> dict[bytes, np.ndarray]:
    """What TensorFlow's own reader makes of each sparse weight, by the bytes that are stored."""
    import tensorflow as tf
    from tf2onnx.tflite.Model import Model

    content = model.read_bytes()
    reader = tf.lite.Interpreter(
        model_content=content,
        experimental_preserve_all_tensors=True,
        experimental_op_resolver_type=tf.lite.experimental.OpResolverType.BUILTIN_REF,
    )
    reader.allocate_tensors()
    seen = reader.get_input_details()[0]
    reader.set_tensor(seen["index"], np.zeros(seen["shape"], np.float32))
    reader.invoke()
    graph = Model.GetRootAsModel(content, 0)
    stored = {index: graph.Buffers(graph.Subgraphs(0).Tensors(index).Buffer()) for index in range(graph.Subgraphs(0).TensorsLength())}
    sparse = {op["inputs"][0]: op["outputs"][0] for op in reader._get_ops_details() if op["op_name"] == "DENSIFY"}
    return {stored[packed].DataAsNumpy().tobytes(): reader.get_tensor(dense) for packed, dense in sparse.items()}


def converted(model: Path, outputs: tuple[str, ...]) -> Any:
    """The same network in ONNX, with these of its outputs, weights in half precision."""
    import onnx
    import tensorflow as tf
    import tf2onnx
    from onnx import TensorProto, helper, numpy_helper
    from tf2onnx import tflite_utils
    from tf2onnx.handler import tfl_op

    @tfl_op(["TFL_DENSIFY"], onnx_op="Identity")
    class Densify:
        """Weights are dense already, see `dense_weights`."""

        @classmethod
        def version_1(cls, ctx: object, node: object, **kwargs: object) -> None:
            pass

    dense, read = dense_weights(model), tf.make_ndarray
    tflite_utils.tensor_util = SimpleNamespace(MakeNdarray=lambda stored: dense[stored.tensor_content] if stored.tensor_content in dense else read(stored))
    with tempfile.TemporaryDirectory() as folder:
        whole, part = Path(folder) / "whole.onnx", Path(folder) / "part.onnx"
        tf2onnx.convert.from_tflite(str(model), opset=13, output_path=str(whole))
        onnx.utils.extract_model(str(whole), str(part), ["input_1"], list(outputs))
        network = onnx.load(part)
    casts = []
    for weight in network.graph.initializer:
        values = numpy_helper.to_array(weight)
        half = values.astype(np.float16)
        if values.dtype != np.float32 or values.size < LEAST_VALUES or not np.array_equal(half, values):
            continue
        name = weight.name
        weight.CopyFrom(numpy_helper.from_array(half, f"{name}_half"))
        casts.append(helper.make_node("Cast", [f"{name}_half"], [name], to=TensorProto.FLOAT))
    for cast in reversed(casts):
        network.graph.node.insert(0, cast)
    network.doc_string = NOTICE.format(model.name)
    onnx.checker.check_model(network)
    return network


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("wheel", type=Path, help="of mediapipe 0.10.21")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder")
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(options.wheel) as archive, tempfile.TemporaryDirectory() as folder:
        for name, (inside, outputs) in MODELS.items():
            network = converted(Path(archive.extract(inside, folder)), outputs)
            (options.output / name).write_bytes(network.SerializeToString())
            print(f"{options.output / name}: {(options.output / name).stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
