"""What benchmarks.data_plane runs on, and what it compares with."""
