"""Names of the files of a folder that is a recording in long tables."""

RESPONSES, TARGETS, PRESENTATIONS = "responses.parquet", "targets.parquet", "presentations.parquet"
