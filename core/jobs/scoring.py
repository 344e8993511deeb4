"""Scoring with any run: probabilities of rows, or the best items for every user."""

from __future__ import annotations

from ..commands import Score, Scored
from ..services import JobControl, Services
from .next_item_ask import is_next_item
from .next_item_score import score_users
from .score import score


def score_run(request: Score, services: Services, control: JobControl) -> Scored:
    """Score by the task of the run's model."""
    project = services.projects.open(request.project)
    try:
        of_users = is_next_item(request.run, project, services)
    finally:
        project.close()
    return (score_users if of_users else score)(request, services, control)
