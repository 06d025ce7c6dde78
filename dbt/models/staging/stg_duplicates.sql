with

duplicates as (
    select * from {{ source('lake', 'duplicates') }}
)

select
    doc_id,
    source,
    shard,
    row
from duplicates
