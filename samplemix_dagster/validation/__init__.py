"""Which mixture trains the better model: arms, paired trainings, and what they tell.

An *arm* is a way to choose documents: a version, a file from elsewhere, a built-in. Each arm is
drawn several times from the corpus, a *learner* is trained on each draw and judged on texts that
are held out; an arm's *controls* draw as much of each source and language, uniformly inside.
"""
