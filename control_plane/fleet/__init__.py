"""Pods: what each holds, how it fares, and the gRPC services they dial."""
