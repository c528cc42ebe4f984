"""What benchmarks.rerank_latency serves, and what it is compared with."""
