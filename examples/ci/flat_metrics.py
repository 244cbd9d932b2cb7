"""Write the numbers of a session as one flat JSON object, for DVC, MLflow and whatever else draws numbers by name.

python ci/flat_metrics.py crop-results/result.json crop-metrics.json
python ci/flat_metrics.py --judge crop-metrics.json     # exit code 1 unless every gate and check passes
"""

import json
import re
import sys
from pathlib import Path


def flat_metrics(result):
    """Return ``{"GATE.NUMBER": value}``. What is undefined is left out; ``passes`` is 1 or 0."""
    found = {}
    for gate in result["gates"]:
        name, against = plain(gate["name"]), gate["against"] or {}
        stops = gate["verdict"] == "error" or any(not limit["passes"] for limit in gate["verdicts"])
        found[f"{name}.passes"] = float(not stops)
        found |= {f"{name}.ap.{side}": value for side, value in gate["ap"].items()}
        numbers = {"drop": gate["drop"], **{key: against.get(key) for key in ("worse", "drop_worse")}}
        for key, number in numbers.items():
            found |= {f"{name}.{key}.{end}": number[end] for end in ("value", "low", "high") if number}
    for record in result["benchmarks"]:
        found |= {f"{plain(record['name'])}.{key}": record["benchmark"][key]["value"] for key in ("mpc", "rpc")}
    for check in result["checks"]:
        found[f"{plain(check['name'])}.passes"] = {"pass": 1.0, "fail": 0.0}.get(check["verdict"])
        found[f"{plain(check['name'])}.value"] = check.get("value")
    return {name: value for name, value in found.items() if value is not None}


def plain(name):
    """Return a name in the letters that MLflow takes."""
    return re.sub(r"[^\w. :-]", "_", name)


def judged(metrics):
    """Return what to end the process with: nothing if all passes, else which do not."""
    passes = {name.removesuffix(".passes"): value for name, value in metrics.items() if name.endswith(".passes")}
    failed = [name for name, value in passes.items() if not value]
    if failed or not passes:
        return f"crop gate: did not pass: {', '.join(failed) or 'there is no gate'}"
    return None


def main(first, second):
    """Write the flat file of a result, or judge one."""
    if first == "--judge":
        sys.exit(judged(json.loads(Path(second).read_text(encoding="utf-8"))))
    metrics = flat_metrics(json.loads(Path(first).read_text(encoding="utf-8")))
    if not metrics:
        sys.exit(f"{first} has no result: no test came to an end")
    Path(second).write_text(json.dumps(metrics, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
