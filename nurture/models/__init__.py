"""Workflows and messages, by subject."""

from .messages import Message, MessageEvent, Template, TemplateVersion
from .workflows import Enrolment, Step, StepRun, Track, Workflow

__all__ = [
    "Enrolment", "Message", "MessageEvent", "Step", "StepRun", "Template", "TemplateVersion", "Track", "Workflow",
]  # fmt: skip
