"""Write the gates and checks that did not pass as a code quality report of GitLab.

    python ci/code_quality.py crop-results/result.json models/detector.tflite > crop-results/code-quality.json

The second argument is the file that GitLab shows the entries at.
"""

import hashlib
import json
import sys
from pathlib import Path


def entry(path, name, text, severity):
    """Return an entry. Its fingerprint is of its name alone: GitLab sees the same entry while numbers change."""
    return {
        "check_name": f"crop robustness: {name}",
        "description": text,
        "fingerprint": hashlib.sha256(f"{path} {name}".encode()).hexdigest(),
        "severity": severity,
        "location": {"path": path, "lines": {"begin": 1}},
    }


def code_quality(result, path):
    """Return the entries: what stops the pipeline is major, what is undecided and let pass is minor."""
    found = []
    for gate in result["gates"]:
        for limit in gate["verdicts"]:
            if limit["outcome"] != "pass":
                name = f"{gate['name']}, {limit['measure']}"
                found.append(entry(path, name, limit["text"], "minor" if limit["passes"] else "major"))
        if gate["verdict"] == "error":
            found.append(entry(path, gate["name"], gate["test_error"], "major"))
    for check in result["checks"]:
        if check["verdict"] == "fail":
            found.append(entry(path, check["name"], check["reason"], "major"))
    if not result["gates"] and not result["checks"] and not result["benchmarks"]:
        found.append(entry(path, "no result", "No test gave a result; see the log and the JUnit report", "blocker"))
    return found


def main(file, path):
    """Print the report. A result that is not there is an entry, too."""
    empty = {"gates": [], "checks": [], "benchmarks": []}
    result = json.loads(Path(file).read_text(encoding="utf-8")) if Path(file).exists() else empty
    print(json.dumps(code_quality(result, path), indent=2))


if __name__ == "__main__":
    main(*sys.argv[1:])
