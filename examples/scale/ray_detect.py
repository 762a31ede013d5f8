"""Faces of a list of pictures with Ray: python ray_detect.py list.txt > faces.jsonl

Each task gives a chunk of paths, which all nodes must see, to one `retinaface detect -`; lines of JSON come out in order.
"""

import subprocess
import sys

import ray


@ray.remote(num_gpus=1, max_retries=3, retry_exceptions=True)
def detect(paths):
    command = ["retinaface", "detect", "-", "--json", "--quiet", "--size", "640"]
    done = subprocess.run(command, input="\n".join(paths), text=True, stdout=subprocess.PIPE)
    # A picture that cannot be read is a line with its error, and exit code 1.
    if done.returncode > 1:
        raise RuntimeError(f"retinaface ended with exit code {done.returncode}")
    return done.stdout


paths = [line for line in open(sys.argv[1]).read().splitlines() if line.strip()]
for part in [detect.remote(paths[i : i + 1000]) for i in range(0, len(paths), 1000)]:
    sys.stdout.write(ray.get(part))
