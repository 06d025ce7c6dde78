with

ledger as (
    select * from {{ ref('stg_ledger') }}
),

scores as (
    select * from {{ ref('stg_scores') }}
),

names as (
    select * from {{ ref('stg_clusters') }}
),

documents as (
    select
        ledger.mixture,
        ledger.version,
        ledger.num_tokens,
        ledger.copies,
        coalesce(scores.cluster, -1) as cluster
    from ledger
    left join scores
        on
            ledger.doc_id = scores.doc_id
            and ledger.source = scores.source
            and ledger.shard = scores.shard
            and ledger.row = scores.row
    where ledger.reason is distinct from 'duplicate'
),

clusters as (
    select
        mixture,
        version,
        cluster,
        {{ composition_counts() }}
    from documents
    group by mixture, version, cluster
),

named as (
    select
        clusters.*,
        coalesce(names.cluster_name, 'unknown') as cluster_name
    from clusters
    left join names on clusters.cluster = names.cluster
)

select
    mixture,
    version,
    cluster,
    cluster_name,
    {{ composition_columns() }}
from named
window corpus as (partition by mixture, version)
