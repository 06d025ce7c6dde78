with

documents as (
    select * from {{ ref('stg_documents') }}
),

duplicates as (
    select * from {{ ref('stg_duplicates') }}
),

occurrences as (
    select documents.*
    from documents
    where documents.doc_id in (select duplicates.doc_id from duplicates)
),

-- The first occurrence stands for the text: by source, digest of the shard, and row.
texts as (
    select
        *,
        count(*) over (partition by doc_id) as num_occurrences
    from occurrences
    qualify row_number() over (partition by doc_id order by source, shard_digest, row) = 1
)

select
    duplicates.source,
    duplicates.shard,
    duplicates.row,
    duplicates.doc_id,
    texts.source as kept_source,
    texts.shard as kept_shard,
    texts.row as kept_row,
    cast(texts.num_occurrences as bigint) as num_occurrences,
    texts.language,
    texts.num_bytes,
    texts.num_tokens
from duplicates
left join texts on duplicates.doc_id = texts.doc_id
