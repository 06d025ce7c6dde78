"""SampleMix on Dagster: which documents, how often.

The flow, in words, and where each step lives::

    shards -> documents -> perplexity ------------------> quality --+
                        -> embeddings -> clusters --+               +-> beta -> mixture -> export
                        -> grams ------> ownership -+-> diversity --+                   -> report
                        -> words ------> topics ----+

``core`` holds the numbers (no files, no Dagster), ``storage`` opens files, ``engine`` runs a map
over shards and knows what is stale, ``assets`` says it to Dagster, ``cli`` says it to a person.
Import the submodules directly: this package re-exports nothing, so that importing it is free.
"""

__version__ = "0.1.0"
