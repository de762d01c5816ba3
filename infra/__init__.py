"""What runs around the loop: servers, deployments, the demonstration's world."""
