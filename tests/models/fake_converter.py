"""Stands at the process boundary where the converter's Python would: no torch, the same wire.

It is called as the real one is, ``PYTHON -I -c … FOLDER STAGE``, and does what ``FAKE_CONVERTER`` (JSON) says:
``fail`` and ``die`` name a stage each, ``hang`` one that never ends, ``agreement`` is the verdict. The packed file is
``packed``: the bundled model, unless told otherwise.
"""

import json
import os
import shutil
import signal
import sys
import time
from pathlib import Path

stage = sys.argv[-1]
if stage == "import sys":  # does this Python run?
    sys.exit()
orders = json.loads(os.environ["FAKE_CONVERTER"])
request = json.loads(sys.stdin.readline())
with Path(orders["log"]).open("a") as log:
    log.write(f"{stage} {os.getpid()}\n")
print("a library that prints to stdout", flush=True)
print(json.dumps({"progress": f"{stage} is under way"}), flush=True)
if orders.get("hang") == stage:
    time.sleep(600)
if orders.get("die") == stage:
    os.kill(os.getpid(), getattr(signal, orders.get("signal", "SIGKILL")))
if orders.get("quit") == stage:
    print("the last words", file=sys.stderr)
    sys.exit(7)
if orders.get("fail") == stage:
    print(json.dumps({"error": f"ValueError: {stage} did not like it"}), flush=True)
    sys.exit(1)
result = {}
if stage == "read":
    result = {"model": request["out"], "architecture": "gemma3_text", "template": orders.get("template")}
elif stage == "convert":
    tflite = Path(request["out"]) / f"{request['recipe']}.tflite"  # as the real one names it
    tflite.write_text(request["recipe"])
    result = {"tflite": str(tflite), "recipe": request["recipe"]}
elif stage == "pack":
    weights = Path(request["tflite"]).read_text()
    Path(orders["log"]).with_name("pack.json").write_text(json.dumps({**request, "weights": weights}))
    shutil.copyfile(orders["packed"], request["file"])
elif stage == "judge":
    tokens = sum(len(reply[: request["first_tokens"]]) for _, reply in request["answers"])
    result = {
        "tokens": tokens,
        "agreement": orders.get("agreement", 0.97),
        "loss": 0.5,
        "tokenized_differently": orders.get("tokenized_differently", []),
    }
print(json.dumps({"result": result}), flush=True)
