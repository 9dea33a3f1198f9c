"""A load on a simulated platform: queue, autoscalers, nodes and pods, by discrete events."""

from planning.simulation.engine import simulate
from planning.simulation.load import Load
from planning.simulation.outcome import Outcome, Sample
from planning.simulation.setup import Depth, Nodes, Pods, Policy, Scaling, Seen, Setup, Spot

__all__ = [
    "Depth",
    "Load",
    "Nodes",
    "Outcome",
    "Pods",
    "Policy",
    "Sample",
    "Scaling",
    "Seen",
    "Setup",
    "Spot",
    "simulate",
]
