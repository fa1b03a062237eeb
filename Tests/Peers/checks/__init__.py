"""One file a topic; each has `checks()`, which yields verdicts."""
