# SPDX-License-Identifier: Apache-2.0
"""Turn a checkpoint into the ONNX file that ships, and its entry for models.toml.

    python -m training.export --weights runs/b/last.pt --out incamera-2.onnx

Input `image`: float32 RGB, N x 3 x H x W, (value - 127.5) / 64, H and W multiples of 32.
Outputs `scores` (N x 2 x H/4 x W/4; plate, face; zero off the peaks of 3x3 cells) and `boxes`
(N x 4 x H/4 x W/4; x, y, w, h in input pixels).
"""

from __future__ import annotations

import argparse
import hashlib
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import numpy_helper
from torch import Tensor, nn
from torch.nn import functional

from training.net import STRIDE, Detector

OPSET = 17


class Shipped(nn.Module):
    """The detector with peak test and decoding, without the scaling of its input."""

    def __init__(self, net: Detector) -> None:
        super().__init__()
        self.net = net

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Return peak scores and boxes."""
        score, log_sides = self.net.look(image)
        heat = torch.sigmoid(score)
        peaks = heat * (heat == functional.max_pool2d(heat, 3, 1, 1)).float()
        sides = torch.exp(log_sides)
        left, top, right, below = sides.unbind(1)
        high, wide = heat.shape[2], heat.shape[3]
        xs = (torch.arange(wide, dtype=torch.float32) + 0.5) * STRIDE
        ys = ((torch.arange(high, dtype=torch.float32) + 0.5) * STRIDE)[:, None]
        return peaks, torch.stack([xs - left, ys - top, left + right, top + below], 1)


def halved(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return the model with its large weights kept in half precision and widened when loaded.

    The file is half as large; what a network in bfloat16 says is the same.
    """
    graph = model.graph
    kept, casts = [], []
    for weight in graph.initializer:
        values = numpy_helper.to_array(weight)
        if weight.data_type != onnx.TensorProto.FLOAT or values.size < 256:
            kept.append(weight)
            continue
        kept.append(numpy_helper.from_array(values.astype(np.float16), weight.name + "_half"))
        casts.append(
            onnx.helper.make_node(
                "Cast", [weight.name + "_half"], [weight.name], to=onnx.TensorProto.FLOAT
            )
        )
    del graph.initializer[:]
    graph.initializer.extend(kept)
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
    model.producer_name, model.producer_version = "incamera", "1"
    onnx.checker.check_model(model)
    return model


def export(weights: Path, out: Path) -> None:
    """Write the ONNX file with dynamic sizes."""
    net = Detector()
    net.load_state_dict(torch.load(weights, weights_only=True)["average"])
    torch.onnx.export(
        Shipped(net.eval()).eval(),
        (torch.zeros(1, 3, 64, 96),),
        str(out),
        dynamo=False,
        opset_version=OPSET,
        input_names=["image"],
        output_names=["scores", "boxes"],
        dynamic_axes={
            "image": {0: "n", 2: "h", 3: "w"},
            "scores": {0: "n", 2: "h4", 3: "w4"},
            "boxes": {0: "n", 2: "h4", 3: "w4"},
        },
    )
    onnx.save(halved(onnx.load(str(out))), str(out))


def compare(weights: Path, out: Path) -> float:
    """Return the largest difference of scores between PyTorch and ONNX Runtime."""
    net = Detector()
    net.load_state_dict(torch.load(weights, weights_only=True)["average"])
    image = torch.randn(1, 3, 96, 160, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        want = Shipped(net.eval())(image)[0].numpy()
    session = onnxruntime.InferenceSession(str(out), providers=["CPUExecutionProvider"])
    have = session.run(["scores"], {"image": image.numpy()})[0]
    return float(np.abs(want - have).max())


def main() -> None:
    """Export, compare, and print what models.toml wants to know."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    export(args.weights, args.out)
    data = args.out.read_bytes()
    print(f"sha256 = {hashlib.sha256(data).hexdigest()!r}  # {len(data)} bytes")
    print(f"# largest difference to PyTorch: {compare(args.weights, args.out):.2g}")


if __name__ == "__main__":
    main()
