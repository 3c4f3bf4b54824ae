"""The report: a plan, and what became of it, as one page that needs no network."""
