"""Matching: which run made which checkpoint, and how sure that is.

`link` goes through it from beginning to end: the `clock` is fitted, the `model` finds candidates and weighs them by the
`families` of evidence, and the `decision` takes what is singled out.
"""
