"""What a quarterly review contains: `quarterly` computes and releases it, `sections` tells it."""
