"""The signal ``clean``: is this a text at all, or what crawls bring along with texts?

A document is measured (:mod:`.shape`, :mod:`.company`), and a logistic model of the measures
(:mod:`.model`), learned once from real text of many kinds and from junk made of it, says how much
it is like text. Nothing here knows a word of any language.
"""
