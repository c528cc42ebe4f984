"""Pin vectors from the graph of pins and the boards that people saved them to."""
