"""Workflows and messages, by subject."""

from .messages import Message, MessageEvent, Sender, Template, TemplateVersion
from .workflows import Enrolment, Step, StepRun, Track, Workflow

__all__ = [
    "Enrolment", "Message", "MessageEvent", "Sender", "Step", "StepRun", "Template", "TemplateVersion", "Track",
    "Workflow",
]  # fmt: skip
