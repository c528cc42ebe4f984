"""Lists that the service showed: their log, and what the teacher says of them."""
