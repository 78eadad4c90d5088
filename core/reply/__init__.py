"""The reply path, one module per step."""
