"""Log a crop gate to MLflow, to the run of MLFLOW_RUN_ID or a new one: python ci/log_mlflow.py crop-results"""

import json
import sys
from pathlib import Path

import mlflow
from flat_metrics import flat_metrics

folder = Path(sys.argv[1])
mlflow.log_metrics(flat_metrics(json.loads((folder / "result.json").read_text(encoding="utf-8"))))
for file in ("result.json", "report/index.html", "junit.xml"):
    if (folder / file).exists():
        mlflow.log_artifact(str(folder / file))
