"""The report: one page that works offline and on which everything can be selected; its pictures."""
