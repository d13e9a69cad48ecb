"""What an experiment is, who gets which variant, and what happened."""
