"""How options are shown by ``--help``: in groups, with values and defaults; and what a mistyped one was meant to be."""

from collections.abc import Sequence

import pytest

from pytest_cropdet.plugin.options import OPTIONS, Option, ini_type
from pytest_cropdet.terms import did_you_mean

__all__ = ["OPTION_GROUPS", "add_options", "check_ini_keys", "group_of", "help_of", "hint_at_options"]

# Titles of groups, and the options in each; what is in none is shown with the last.
OPTION_GROUPS = {
    "detector": "model detector against baseline baseline_images update_baseline workers timeout",
    "data": "data images data_labels data_errors strict_data train_data categories alias group sample_images",
    "crops": "crops max_crops plan seed",
    "limits": "max_drop min_ratio min_crop_ap max_worse max_drop_worse undecided min_images min_ap cap looks",
    "measuring": "metric min_visibility max_detections score_threshold verify cache dir dry_run",
    "causes": "explain fill both_orders try_mitigations",
    "checks and benchmark": "checks examples no_shrink benchmark benchmark_families",
    "results": "report json objects detections history history_time history_commit",
}


def add_options(parser: pytest.Parser) -> None:
    """Add every option to the command line, in its group, and to the ini file."""
    titles = {
        each: parser.getgroup(f"cropdet {each}", f"crop robustness of detectors: {each}") for each in OPTION_GROUPS
    }
    types = {"int": int, "float": float}
    for each in OPTIONS:
        group = titles[group_of(each.name)]
        shared = {"dest": f"cropdet_{each.name}", "metavar": each.metavar, "help": help_of(each), "default": None}
        if each.kind == "flag":
            del shared["metavar"]
            group.addoption(each.flag, action="store_true", **shared)
        elif each.kind == "lines":
            group.addoption(each.flag, action="append", **shared)
        else:
            if each.alone is not None:
                shared |= {"nargs": "?", "const": each.alone}
            group.addoption(each.flag, type=types.get(each.kind, str), choices=each.choices or None, **shared)
        parser.addini(f"cropdet_{each.name}", each.help, type=ini_type(each), default=None)


def group_of(name: str) -> str:
    """Return the title of the group that an option is shown in.

    >>> group_of("max_drop"), group_of("an_option_of_tomorrow")
    ('limits', 'results')
    """
    return next((title for title, names in OPTION_GROUPS.items() if name in names.split()), list(OPTION_GROUPS)[-1])


def help_of(each: Option) -> str:
    """Return an option's help with its values and its default, ready for argparse."""
    text = each.help
    if each.choices and each.kind != "lines" and not all(word in text for word in each.choices):
        text += f"; one of {', '.join(each.choices)}"
    default = ", ".join(map(str, each.default)) if isinstance(each.default, tuple) else each.default
    if not isinstance(default, bool) and default not in (None, "") and "default:" not in text and "alone:" not in text:
        text += f" (default: {default})"
    return text.replace("%", "%%")


def hint_at_options(parser: pytest.Parser, arguments: Sequence[str]) -> None:
    """Let pytest's error about an unknown ``--cropdet-...`` name the option that was likely meant."""
    known = [each.flag for each in OPTIONS]
    words = [word.partition("=")[0] for word in arguments if word.startswith("--cropdet")]
    hints = [did_you_mean(word, known) for word in words if word not in known]
    found = [hint.removeprefix("; did you mean ").removesuffix("?") for hint in hints if hint]
    if found:
        parser.extra_info["did you mean"] = ", ".join(dict.fromkeys(found))


def check_ini_keys(keys: Sequence[str], file: str) -> None:
    """Refuse a key ``cropdet_...`` of the ini file that is no option but nearly one: a limit must not go unread."""
    known = [f"cropdet_{each.name}" for each in OPTIONS]
    for key in keys:
        if key not in known and (hint := did_you_mean(key, known)):
            raise pytest.UsageError(f"{file}: there is no key {key}{hint}")
