"""PyTorch on the CPU, in a process of its own: a line of JSON in, a line of JSON out, as runner.ts speaks over its channel."""

import json
import os
import sys
import time

import torch
from torch_networks import Convolution, Detector, Trunk, formula_tensor, load_formula, make_anchors, multibox_loss


def inference(model, shape):
    load_formula(model).eval()
    x = torch.from_numpy(formula_tensor("input", shape))

    def run():
        with torch.inference_mode():
            y = model(x)
            return torch.cat([part.reshape(-1) for part in y]) if isinstance(y, tuple) else y

    return run


def training(shape, boxes):
    model = load_formula(Detector()).train()
    optimiser = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9, weight_decay=5e-4)
    x = torch.from_numpy(formula_tensor("input", shape))
    anchors = make_anchors(shape[2])
    faces = [torch.tensor(own) for own in boxes]

    def run():
        optimiser.zero_grad(set_to_none=True)
        of_class, of_boxes, total = multibox_loss(model(x), anchors, faces)
        total.backward()
        optimiser.step()
        return torch.stack([of_class, of_boxes, total]).detach()

    return run


def make(which, shape, boxes):
    if which == "step":
        return training(shape, boxes)
    return inference({"convolution": Convolution, "trunk": Trunk, "network": Detector}[which](), shape)


def say(message):
    print(json.dumps(message), flush=True)


# As many as the other ways have: PyTorch counts cores, not their threads.
torch.set_num_threads(os.cpu_count())
made = {}
say({"ready": f"PyTorch {torch.__version__}, {torch.get_num_threads()} threads"})
for line in sys.stdin:
    request = json.loads(line)
    try:
        which = request["which"]
        if which not in made:
            made[which] = make(which, tuple(request["shape"]), request["boxes"])
        start = time.perf_counter()
        output = made[which]().numpy()
        milliseconds = 1000 * (time.perf_counter() - start)
        if "file" in request:
            output.astype("float32").tofile(request["file"])
        say({"ms": milliseconds})
    except Exception as error:
        say({"error": f"{type(error).__name__}: {error}"})
