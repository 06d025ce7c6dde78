with

rejections as (
    select * from {{ source('lake', 'rejections') }}
)

select
    source,
    shard,
    row,
    reason,
    excerpt,
    num_rows
from rejections
