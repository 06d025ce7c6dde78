with

rejections as (
    select * from {{ source('lake', 'rejections') }}
)

select
    source,
    shard,
    row,
    reason,
    excerpt
from rejections
