"""A load on a simulated platform: queue, autoscalers, nodes and pods, by discrete events."""
