"""The published MobileNet-0.25 network, ResNet-50's trunk and the published loss, as PyTorch users write them.

Parameters have the names of the published checkpoints, and the values that the formula gives to their names.
"""

import sys
from pathlib import Path

import torch
import torch.nn.functional as F
import torchvision
from torch import nn

sys.path.insert(0, str(Path(__file__).parent.parent.parent / "fixtures" / "generate"))
from formula import formula_tensor  # noqa: E402

SLOPE = 0.1
LEVELS = ((8, (16, 32)), (16, (64, 128)), (32, (256, 512)))
CENTRE_VARIANCE, SIZE_VARIANCE = 0.1, 0.2
POSITIVE, FORCED, NEGATIVES = 0.35, 0.2, 7


def load_formula(model):
    state = model.state_dict()
    for name, value in state.items():
        if not name.endswith("num_batches_tracked"):
            state[name] = torch.from_numpy(formula_tensor(name, tuple(value.shape)))
    model.load_state_dict(state)
    return model


class Trunk(nn.Module):
    """torchvision's ResNet-50 to its last map."""

    def __init__(self):
        super().__init__()
        self.body = torchvision.models.resnet50(weights=None)
        del self.body.fc, self.body.avgpool

    def forward(self, x):
        body = self.body
        x = body.maxpool(body.relu(body.bn1(body.conv1(x))))
        return body.layer4(body.layer3(body.layer2(body.layer1(x))))


class Convolution(nn.Module):
    def __init__(self):
        super().__init__()
        self.filter = nn.Conv2d(256, 256, 3, 1, 1, bias=False)

    def forward(self, x):
        return self.filter(x)


def conv_bn(cin, cout, kernel=3, stride=1, slope=SLOPE):
    layers = [nn.Conv2d(cin, cout, kernel, stride, kernel // 2, bias=False), nn.BatchNorm2d(cout)]
    return nn.Sequential(*layers, *([] if slope is None else [nn.LeakyReLU(slope, inplace=True)]))


def separable(cin, cout, stride):
    return nn.Sequential(
        nn.Conv2d(cin, cin, 3, stride, 1, groups=cin, bias=False),
        nn.BatchNorm2d(cin),
        nn.LeakyReLU(SLOPE, inplace=True),
        nn.Conv2d(cin, cout, 1, bias=False),
        nn.BatchNorm2d(cout),
        nn.LeakyReLU(SLOPE, inplace=True),
    )


class Body(nn.Module):
    """MobileNetV1 at a quarter of its width (Howard et al. 2017)."""

    def __init__(self):
        super().__init__()
        plan = ((8, 1), (16, 1), (32, 2), (32, 1), (64, 2), (64, 1))
        blocks = [separable(cin, cout, stride) for (cin, _), (cout, stride) in zip(plan, plan[1:])]
        self.stage1 = nn.Sequential(conv_bn(3, 8, 3, 2), *blocks)
        self.stage2 = nn.Sequential(separable(64, 128, 2), *(separable(128, 128, 1) for _ in range(5)))
        self.stage3 = nn.Sequential(separable(128, 256, 2), separable(256, 256, 1))

    def forward(self, x):
        first = self.stage1(x)
        second = self.stage2(first)
        return first, second, self.stage3(second)


class Pyramid(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.output1, self.output2, self.output3 = (conv_bn(cin, channels, 1) for cin in (64, 128, 256))
        self.merge1, self.merge2 = conv_bn(channels, channels), conv_bn(channels, channels)

    def forward(self, first, second, third):
        third = self.output3(third)
        second = self.output2(second)
        second = self.merge2(second + F.interpolate(third, size=second.shape[2:], mode="nearest"))
        first = self.output1(first)
        first = self.merge1(first + F.interpolate(second, size=first.shape[2:], mode="nearest"))
        return first, second, third


class Context(nn.Module):
    """The context module of SSH (Najibi et al. 2017)."""

    def __init__(self, channels):
        super().__init__()
        half, quarter = channels // 2, channels // 4
        self.conv3X3 = conv_bn(channels, half, slope=None)
        self.conv5X5_1 = conv_bn(channels, quarter)
        self.conv5X5_2 = conv_bn(quarter, quarter, slope=None)
        self.conv7X7_2 = conv_bn(quarter, quarter)
        self.conv7x7_3 = conv_bn(quarter, quarter, slope=None)

    def forward(self, x):
        shared = self.conv5X5_1(x)
        parts = [self.conv3X3(x), self.conv5X5_2(shared), self.conv7x7_3(self.conv7X7_2(shared))]
        return F.relu(torch.cat(parts, 1))


class Head(nn.Module):
    def __init__(self, channels, values):
        super().__init__()
        self.conv1x1 = nn.Conv2d(channels, values, 1)

    def forward(self, x):
        return self.conv1x1(x).permute(0, 2, 3, 1)


class Detector(nn.Module):
    def __init__(self, channels=64, anchors=2):
        super().__init__()
        self.body = Body()
        self.fpn = Pyramid(channels)
        self.ssh1, self.ssh2, self.ssh3 = (Context(channels) for _ in range(3))
        self.ClassHead = nn.ModuleList(Head(channels, 2 * anchors) for _ in range(3))
        self.BboxHead = nn.ModuleList(Head(channels, 4 * anchors) for _ in range(3))
        self.LandmarkHead = nn.ModuleList(Head(channels, 10 * anchors) for _ in range(3))

    def forward(self, x):
        """Logits [n, anchors, 2], box codes [n, anchors, 4], landmark codes [n, anchors, 10]."""
        maps = self.fpn(*self.body(x))
        features = [ssh(map_) for ssh, map_ in zip((self.ssh1, self.ssh2, self.ssh3), maps)]

        def join(heads, values):
            return torch.cat([head(f).reshape(f.shape[0], -1, values) for head, f in zip(heads, features)], 1)

        return join(self.ClassHead, 2), join(self.BboxHead, 4), join(self.LandmarkHead, 10)


def make_anchors(size):
    """[anchors, 4] as (cx, cy, w, h), in the order level, y, x, anchor."""
    boxes = []
    for stride, edges in LEVELS:
        at = (torch.arange(-(-size // stride)) + 0.5) * stride
        cy, cx, edge = torch.meshgrid(at, at, torch.tensor(edges, dtype=torch.float32), indexing="ij")
        boxes.append(torch.stack([cx, cy, edge, edge], -1).reshape(-1, 4))
    return torch.cat(boxes)


def match(anchors, faces):
    """Whether each anchor is a face's, and its box codes; faces [f, 4] as corners."""
    corners = torch.cat([anchors[:, :2] - anchors[:, 2:] / 2, anchors[:, :2] + anchors[:, 2:] / 2], 1)
    overlap = torchvision.ops.box_iou(corners, faces)
    best, owner = overlap.max(1)
    positive = best >= POSITIVE
    of_face, at = overlap.max(0)
    for face in range(len(faces)):
        if of_face[face] >= FORCED:
            positive[at[face]] = True
            owner[at[face]] = face
    own = faces[owner]
    centre = ((own[:, :2] + own[:, 2:]) / 2 - anchors[:, :2]) / anchors[:, 2:] / CENTRE_VARIANCE
    size = torch.log((own[:, 2:] - own[:, :2]) / anchors[:, 2:]) / SIZE_VARIANCE
    return positive, torch.cat([centre, size], 1)


def multibox_loss(outputs, anchors, faces):
    """The published loss of faces without landmarks: class, box and total."""
    logits, boxes, landmarks = outputs
    matches = [match(anchors, own) for own in faces]
    positive = torch.stack([each for each, _ in matches])
    codes = torch.stack([each for _, each in matches])
    losses = F.cross_entropy(logits.permute(0, 2, 1), positive.long(), reduction="none")
    with torch.no_grad():
        order = losses.masked_fill(positive, -1).sort(1, descending=True).indices
        rank = order.argsort(1)
        wanted = NEGATIVES * positive.sum(1, keepdim=True)
        selected = positive | (rank < wanted)
    count = positive.sum().clamp(min=1)
    of_class = losses[selected].sum() / count
    of_boxes = F.smooth_l1_loss(boxes[positive], codes[positive], reduction="sum") / count
    # No face has landmarks: their heads learn nothing, but take part.
    return of_class, of_boxes, of_class + 2 * of_boxes + 0 * landmarks.sum()
