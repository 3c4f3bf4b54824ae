"""The families of evidence: what each says for or against a run, in bits, and what it is set against."""
