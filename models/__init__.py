"""What learns: backbones, heads, clips on their way to the device, the training loop. No orchestration here."""
