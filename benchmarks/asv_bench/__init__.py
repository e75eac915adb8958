"""asv benchmarks: time and memory of the core and of the estimators."""
