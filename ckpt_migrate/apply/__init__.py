"""Apply: from a reviewed plan to tasks, checked all at once, then carried out."""
