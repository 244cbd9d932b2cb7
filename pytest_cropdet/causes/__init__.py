"""Why AP was lost: the chain of renderings, what became of each object, and what recovers it."""

from pytest_cropdet.causes.advice import Advice, advise
from pytest_cropdet.causes.attribution import Causes, ScoredRun
from pytest_cropdet.causes.chain import Chain, Step, step_lines, steps_grown
from pytest_cropdet.causes.diagnostics.anchor_fit import AnchorReport, NoAnchors, anchor_report, best_anchors
from pytest_cropdet.causes.diagnostics.box_bias import Bias
from pytest_cropdet.causes.diagnostics.breakdown import Where
from pytest_cropdet.causes.diagnostics.changed_objects import ChangedObjects, changed_objects, scores_by_rendering
from pytest_cropdet.causes.diagnostics.details import Details
from pytest_cropdet.causes.diagnostics.distribution_shift import Shift
from pytest_cropdet.causes.diagnostics.error_types import ErrorTypes
from pytest_cropdet.causes.diagnostics.label_changes import LabelChanges
from pytest_cropdet.causes.diagnostics.object_table import COLUMNS, FATES, fate_of, object_table, to_frame
from pytest_cropdet.causes.explainer import Explainer
from pytest_cropdet.causes.explanation import Explanation
from pytest_cropdet.causes.fates import Fates
from pytest_cropdet.causes.mitigations.detect import try_mitigations
from pytest_cropdet.causes.mitigations.gains import MitigationTrial, Trials
from pytest_cropdet.causes.mitigations.mitigation import Mitigation
from pytest_cropdet.causes.renderings import Rendering, cut_objects, detected_in, fill_image, render

__all__ = [
    "COLUMNS",
    "FATES",
    "Advice",
    "AnchorReport",
    "Bias",
    "Causes",
    "Chain",
    "ChangedObjects",
    "Details",
    "ErrorTypes",
    "Explainer",
    "Explanation",
    "Fates",
    "LabelChanges",
    "Mitigation",
    "MitigationTrial",
    "NoAnchors",
    "Rendering",
    "ScoredRun",
    "Shift",
    "Step",
    "Trials",
    "Where",
    "advise",
    "anchor_report",
    "best_anchors",
    "changed_objects",
    "cut_objects",
    "detected_in",
    "fate_of",
    "fill_image",
    "object_table",
    "render",
    "scores_by_rendering",
    "step_lines",
    "steps_grown",
    "to_frame",
    "try_mitigations",
]
