with

documents as (
    select * from {{ source('lake', 'documents') }}
)

select
    doc_id,
    source,
    shard,
    shard_digest,
    row,
    id,
    language,
    num_bytes,
    num_tokens
from documents
