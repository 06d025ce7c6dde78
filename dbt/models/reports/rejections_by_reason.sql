with

documents as (
    select * from {{ ref('stg_documents') }}
),

rejections as (
    select * from {{ ref('stg_rejections') }}
),

accepted as (
    select
        source,
        count(*) as num_documents
    from documents
    group by source
),

reasons as (
    select
        source,
        reason,
        sum(num_rows) as num_rejected,
        arg_min(shard, (shard, row)) as example_shard,
        arg_min(row, (shard, row)) as example_row,
        arg_min(excerpt, (shard, row)) as example_excerpt
    from rejections
    group by source, reason
)

select
    reasons.source,
    reasons.reason,
    cast(reasons.num_rejected as bigint) as num_rejected,
    reasons.num_rejected
    / (
        coalesce(accepted.num_documents, 0)
        + sum(reasons.num_rejected) over (partition by reasons.source)
    ) as share_of_rows,
    reasons.example_shard,
    reasons.example_row,
    reasons.example_excerpt
from reasons
left join accepted on reasons.source = accepted.source
