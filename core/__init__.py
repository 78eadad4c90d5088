"""Locum's core: memory, retrieval, the reply path, policy, storage and models."""
