"""Chat platforms to run against without a network: for tests, benchmarks and a first look."""
