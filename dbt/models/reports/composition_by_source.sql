with

ledger as (
    select * from {{ ref('stg_ledger') }}
),

sources as (
    select
        mixture,
        version,
        source,
        {{ composition_counts() }}
    from ledger
    where reason is distinct from 'duplicate'
    group by mixture, version, source
)

select
    mixture,
    version,
    source,
    {{ composition_columns() }}
from sources
window corpus as (partition by mixture, version)
