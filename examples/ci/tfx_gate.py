"""The crop gate as a component of a TFX pipeline: a model that does not pass stops the pipeline before its Pusher.

gate = CropGate(model=trainer.outputs["model"], project="/path/to/the/folder/of/pytest.ini")
pusher.add_upstream_node(gate)
"""

import subprocess
import sys

from tfx import v1 as tfx


@tfx.dsl.components.component
def CropGate(
    model: tfx.dsl.components.InputArtifact[tfx.types.standard_artifacts.Model],
    project: tfx.dsl.components.Parameter[str],
):
    """Run the gate on the exported SavedModel."""
    saved_model = f"--cropdet-model=saved_model:{model.uri}/Format-Serving"
    command = [sys.executable, "-m", "pytest", "--pyargs", "pytest_cropdet.suite", saved_model]
    code = subprocess.run(command, cwd=project, check=False).returncode
    if code:
        raise RuntimeError(f"the crop gate ended with exit code {code}; its report is in {project}/crop-results")
