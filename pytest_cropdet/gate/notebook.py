"""How a run shows itself in a notebook: its verdict, its axis, its steps, and what it rests on."""

from html import escape

from pytest_cropdet.figures import verdict_axis, waterfall
from pytest_cropdet.gate.facts import RunFacts
from pytest_cropdet.gate.limits import verdict_records, worst_verdict

__all__ = ["run_html"]


def run_html(run: RunFacts) -> str:
    """Return a run as HTML; the detector is not called."""
    verdicts = run.all_verdicts
    worst = worst_verdict({"verdicts": verdict_records(verdicts)}, run.drop.name)
    drop = {"value": run.drop.value, "low": run.drop.low, "high": run.drop.high}
    limit, outcome = (None, "none") if worst is None else (worst["limit"], worst["outcome"])
    gate = {"drop": drop, "limit": limit, "verdict": outcome}
    words = [*dict.fromkeys(verdict.line for verdict in verdicts)]
    words = words or [f"crops lose {run.drop}: measured, not judged"]
    lines = "".join(f"<div>{escape(line)}</div>" for line in words)
    rests_on = f"{run.crops:,} crops of {run.images:,} images, {run.scored_objects:,} objects, seed {run.plan.seed}"
    parts = [f"<b>{escape(run.name or run.plan.spec)}</b>", lines, str(verdict_axis(gate))]
    causes = run.explanation.causes
    if causes is not None:
        steps = [step.to_dict() for step in causes.chain.steps]
        metric = "share found" if run.agreement else run.settings.metric
        parts.append(str(waterfall(steps, causes.chain.ap.get("whole"), causes.chain.ap.get("crop"), metric) or ""))
    parts.append(f"<div>{escape(rests_on)}; {escape(run.dataset)}</div>")
    return f'<div style="max-width:46rem">{"".join(parts)}</div>'
