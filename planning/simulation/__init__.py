"""A load on a simulated platform: queue, autoscalers, nodes and pods, by discrete events."""

from planning.simulation.by_work import ByWork
from planning.simulation.engine import StuckError, simulate
from planning.simulation.load import Load
from planning.simulation.outcome import Moment, Outcome
from planning.simulation.setup import Autoscaling, Depth, Pods, Policy, Provisioning, Setup, Spot

__all__ = [
    "Autoscaling",
    "ByWork",
    "Depth",
    "Load",
    "Moment",
    "Outcome",
    "Pods",
    "Policy",
    "Provisioning",
    "Setup",
    "Spot",
    "StuckError",
    "simulate",
]
