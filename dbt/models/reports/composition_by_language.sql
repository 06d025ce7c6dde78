with

ledger as (
    select * from {{ ref('stg_ledger') }}
),

scores as (
    select * from {{ ref('stg_scores') }}
),

documents as (
    select
        ledger.mixture,
        ledger.version,
        ledger.num_tokens,
        ledger.copies,
        coalesce(scores.language, 'und') as language
    from ledger
    left join scores
        on
            ledger.doc_id = scores.doc_id
            and ledger.source = scores.source
            and ledger.shard = scores.shard
            and ledger.row = scores.row
    where ledger.reason is distinct from 'duplicate'
),

languages as (
    select
        mixture,
        version,
        language,
        {{ composition_counts() }}
    from documents
    group by mixture, version, language
)

select
    mixture,
    version,
    language,
    {{ composition_columns() }}
from languages
window corpus as (partition by mixture, version)
