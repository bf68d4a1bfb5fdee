"""Workflows and messages, by subject."""

from .messages import Template
from .workflows import Enrolment, Step, StepRun, Track, Workflow

__all__ = ["Enrolment", "Step", "StepRun", "Template", "Track", "Workflow"]
