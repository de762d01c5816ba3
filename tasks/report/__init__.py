"""One page a round: what data, what was searched, how good the model is, and where it fails."""
