"""Prompt files for calibrating and judging conversions of the demo checkpoint: three sets that share nothing."""
