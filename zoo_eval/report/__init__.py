"""Figures, trends and the HTML report, from the same SQL that users write."""
