with

scores as (
    select * from {{ source('lake', 'scores') }}
)

select
    doc_id,
    source,
    shard,
    row,
    id,
    language,
    bits_per_byte,
    perplexity,
    quality_z,
    quality,
    cluster,
    is_noise,
    cluster_distance,
    cluster_score,
    ngram_overlap,
    ngram_score,
    topic,
    topic_score,
    diversity
from scores
