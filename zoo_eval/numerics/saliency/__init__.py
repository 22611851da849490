"""Saliency: which pixels move the true class's logit; one file for each way to tell."""
