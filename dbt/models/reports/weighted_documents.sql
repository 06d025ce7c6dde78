with

ledger as (
    select * from {{ ref('stg_ledger') }}
),

scores as (
    select * from {{ ref('stg_scores') }}
),

documents as (
    select * from ledger
    where reason is distinct from 'duplicate'
),

most as (
    select
        *,
        'most' as extreme,
        row_number() over (
            partition by mixture, version
            order by weight desc, doc_id asc, source asc, shard asc, row asc
        ) as place
    from documents
    qualify place <= {{ var('documents_per_end') }}
),

least as (
    select
        *,
        'least' as extreme,
        row_number() over (
            partition by mixture, version
            order by weight asc, doc_id asc, source asc, shard asc, row asc
        ) as place
    from documents
    qualify place <= {{ var('documents_per_end') }}
),

extremes as (
    select * from most
    union all by name
    select * from least
)

select
    extremes.mixture,
    extremes.version,
    extremes.extreme,
    cast(extremes.place as integer) as place,
    extremes.doc_id,
    extremes.source,
    extremes.shard,
    extremes.row,
    scores.id,
    scores.language,
    extremes.num_tokens,
    extremes.weight,
    extremes.expected_copies,
    extremes.copies,
    extremes.reason,
    extremes.quality,
    extremes.diversity,
    scores.bits_per_byte,
    scores.perplexity,
    scores.cluster_score,
    scores.ngram_score,
    scores.topic_score,
    scores.cluster,
    scores.topic
from extremes
left join scores
    on
        extremes.doc_id = scores.doc_id
        and extremes.source = scores.source
        and extremes.shard = scores.shard
        and extremes.row = scores.row
