with

ledger as (
    select * from {{ ref('stg_ledger') }}
),

scores as (
    select * from {{ ref('stg_scores') }}
),

names as (
    select * from {{ ref('stg_topics') }}
),

documents as (
    select
        ledger.mixture,
        ledger.version,
        ledger.num_tokens,
        ledger.copies,
        coalesce(scores.topic, -1) as topic
    from ledger
    left join scores
        on
            ledger.doc_id = scores.doc_id
            and ledger.source = scores.source
            and ledger.shard = scores.shard
            and ledger.row = scores.row
    where ledger.reason is distinct from 'duplicate'
),

topics as (
    select
        mixture,
        version,
        topic,
        {{ composition_counts() }}
    from documents
    group by mixture, version, topic
),

named as (
    select
        topics.*,
        coalesce(names.topic_name, 'unknown') as topic_name
    from topics
    left join names on topics.topic = names.topic
)

select
    mixture,
    version,
    topic,
    topic_name,
    {{ composition_columns() }}
from named
window corpus as (partition by mixture, version)
