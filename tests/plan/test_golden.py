"""The plan of a small fixed project, as a person gets to see it: whatever changes in it is seen in a review.

After a change that is meant, write the file anew and read its difference:

    UPDATE_GOLDEN=1 python -m pytest tests/plan/test_golden.py
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from ckpt_migrate import api

if TYPE_CHECKING:
    from project import Project

GOLDEN = Path(__file__).parents[1] / "golden" / "plan.yaml"
CHANGING = (
    (r'(?m)^created: ".*"$', 'created: "2026-03-01T00:00:00Z"'),
    (r"ino=[0-9]+", "ino=0"),
    (r'(?m)(?<=seal: )"?[0-9a-f]+"?$', "..."),
    (r"(?<=# checksum: )[0-9a-f]+", "..."),
    (r"(?m)^tool: .*$", "tool: ckpt-migrate 0.0.0"),
    (r"(?m)^recipe_digest: .*$", "recipe_digest: ..."),
)
"""What differs from one machine or version to the next, and what is written instead."""


def test_the_plan_of_the_project_is_the_one_that_was_reviewed(project: Project) -> None:
    twins = [project.training(8), project.training(8, "twin")]
    for training in twins:
        project.add_directory(training)
        project.add_run(training)
    text = api.plan("checkpoints/phase2", tracking_uri="mlruns", output="plan.yaml").text
    for pattern, instead in CHANGING:
        text, count = re.subn(pattern, instead, text)
        assert count, pattern
    if "UPDATE_GOLDEN" in os.environ:
        GOLDEN.write_text(text, encoding="utf-8")
    assert text == GOLDEN.read_text(encoding="utf-8")
