"""The nightly path that turns memory into an L2 adapter, and judges it."""
