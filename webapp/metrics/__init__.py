"""What the server does, counted for Prometheus; what experiments measure is `experiments.metrics`."""
