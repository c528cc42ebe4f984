"""What runs pinrank elsewhere: a launcher file's node types, their spot instances, their Kubernetes manifests."""
