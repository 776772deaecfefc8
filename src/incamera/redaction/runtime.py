# SPDX-License-Identifier: Apache-2.0
"""Running a network: OpenVINO on the processor, in bfloat16 where the processor has it.

Against onnxruntime it takes half of the processor time here, with the same weights. Shapes matter
to it: a network made for one picture size is up to a fifth faster than one for any size, and is
made in 0.1 s. So sizes that come again get one of their own.

Pictures go in as bytes and are scaled inside the network. Tensors belong to OpenVINO, never to
numpy: while a network runs, it holds a lock that other threads wait for with the interpreter's
lock in their hands, so nothing in it may need the interpreter.
"""

from __future__ import annotations

import sys
import threading
from collections import Counter, OrderedDict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from incamera.errors import UnavailableError

if TYPE_CHECKING:
    import openvino

__all__ = ["Network"]

Shape = tuple[int, int, int, int]  # pictures, height, width, 3

_MULTIPLE = 32  # what the sides are padded to: the stride of the deepest layer
_OFTEN = 16  # pictures of one size after which the network is made for that size
_KEPT = 6  # sizes, each with the memory of its layers


class Network:
    """A fully convolutional network. Safe to call from several threads at once."""

    def __init__(
        self,
        model: bytes,
        outputs: Sequence[str],
        *,
        middle: float = 0.0,
        spread: float = 1.0,
        threads: int = 1,
        shape: Shape = (1, -1, -1, 3),
    ) -> None:
        """``model``: ONNX, one input of n x 3 x height x width; ``outputs``: names, in order.

        The network sees (value - ``middle``) / ``spread``; what is padded is ``middle``.
        ``threads``: processor cores for one picture. ``shape``: of the input, -1 what may vary.
        :class:`UnavailableError` if the runtime cannot load the model.
        """
        self._outputs = list(outputs)
        self._padding = round(middle)
        self._threads = threads
        self._lock = threading.Lock()
        self._seen: Counter[Shape] = Counter()  # guarded by the lock, as the next
        self._sized: OrderedDict[Shape, openvino.CompiledModel] = OrderedDict()
        self._own = threading.local()
        try:
            self._core = _openvino().Core()
            self._model = _fed_with_bytes(self._core.read_model(model), middle, spread)
            self._any = self._compiled(shape)
        except RuntimeError as error:
            raise UnavailableError(f"a detector's network cannot be loaded: {error}") from error

    def __call__(self, image: NDArray[np.uint8], size: tuple[int, int]) -> list[NDArray[Any]]:
        """The outputs for ``image`` (RGB, uint8, height x width x 3) at ``size``: width, height.

        Sides are padded at the right and below. What is returned is float32 and valid until this
        thread calls again.
        """
        width, height = size
        shape = (1, -(-height // _MULTIPLE) * _MULTIPLE, -(-width // _MULTIPLE) * _MULTIPLE, 3)
        request, pixels = self._request(self._for(shape), shape)
        pixels[0, height:] = self._padding
        pixels[0, :height, width:] = self._padding
        if size == (image.shape[1], image.shape[0]):
            pixels[0, :height, :width] = image
        else:
            mode = cv2.INTER_AREA if width < image.shape[1] else cv2.INTER_LINEAR
            pixels[0, :height, :width] = cv2.resize(image, size, interpolation=mode)
        request.infer()
        return [request.get_tensor(name).data for name in self._outputs]

    def batch(self, images: NDArray[np.uint8]) -> list[NDArray[Any]]:
        """The outputs for ``images`` of one size, n x height x width x 3; valid as above."""
        count, height, width, _ = images.shape
        request, pixels = self._request(self._any, (count, height, width, 3))
        pixels[:] = images
        request.infer()
        return [request.get_tensor(name).data for name in self._outputs]

    def _for(self, shape: Shape) -> openvino.CompiledModel:
        with self._lock:
            if shape in self._sized:
                self._sized.move_to_end(shape)
                return self._sized[shape]
            self._seen[shape] += 1
            if self._seen[shape] < _OFTEN:
                return self._any
            self._sized[shape] = self._compiled(shape)
            while len(self._sized) > _KEPT:
                self._seen.pop(self._sized.popitem(last=False)[0], None)
            return self._sized[shape]

    def _compiled(self, shape: Shape) -> openvino.CompiledModel:
        model = self._model.clone()
        model.reshape({model.inputs[0]: list(shape)})
        offered = self._core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        options = {
            "INFERENCE_PRECISION_HINT": "bf16" if "BF16" in offered else "f32",
            "INFERENCE_NUM_THREADS": self._threads,
            "NUM_STREAMS": 1,
            "ENABLE_CPU_PINNING": False,  # decoder and encoder want the cores too
        }
        return self._core.compile_model(model, "CPU", options)

    def _request(
        self, network: openvino.CompiledModel, shape: Shape
    ) -> tuple[openvino.InferRequest, NDArray[np.uint8]]:
        """This thread's own request, which two cannot use at once, and its input's pixels."""
        mine: OrderedDict[int, Any] = self._own.__dict__.setdefault("requests", OrderedDict())
        if id(network) not in mine:  # an id is not used again while the network is kept here
            mine[id(network)] = (network, network.create_infer_request(), None)
            while len(mine) > _KEPT + 1:
                mine.popitem(last=False)
        mine.move_to_end(id(network))
        _, request, tensor = mine[id(network)]
        if tensor is None or tuple(tensor.shape) != shape:
            library = _openvino()
            tensor = library.Tensor(library.Type.u8, library.Shape(shape))
            request.set_input_tensor(tensor)
            mine[id(network)] = (network, request, tensor)
        return request, tensor.data


def _fed_with_bytes(model: openvino.Model, middle: float, spread: float) -> openvino.Model:
    """``model``, taking bytes as pictures lie in memory: 1 x height x width x 3."""
    library = _openvino()
    model.reshape({model.inputs[0]: [-1, 3, -1, -1]})
    before = library.preprocess.PrePostProcessor(model)
    before.input().tensor().set_element_type(library.Type.u8).set_layout(library.Layout("NHWC"))
    steps = before.input().preprocess().convert_element_type(library.Type.f32)
    if (middle, spread) != (0.0, 1.0):
        steps.mean(middle).scale(spread)
    before.input().model().set_layout(library.Layout("NCHW"))
    return before.build()


def _openvino() -> Any:
    """The library, without its telemetry: importing it would tell a foreign server that we run.

    It sends only if the package ``openvino_telemetry`` can be imported. A None in ``sys.modules``
    makes that import fail, whether the package is installed or not.
    """
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    try:
        import openvino
        import openvino.preprocess
    except ImportError as error:
        raise UnavailableError(
            f"the runtime of the detectors is missing: {error}",
            hint="install incamera with its dependencies again",
        ) from error
    return openvino
