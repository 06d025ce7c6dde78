with

ledger as (
    select * from {{ source('lake', 'ledger') }}
)

select
    mixture,
    version,
    doc_id,
    source,
    shard,
    row,
    num_tokens,
    quality,
    diversity,
    weight,
    expected_copies,
    copies,
    reason
from ledger
