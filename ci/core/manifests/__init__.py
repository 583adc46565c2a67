"""What the Kubernetes manifests have to keep to, beyond the schemas of their kinds."""
