with

ledger as (
    select * from {{ ref('stg_ledger') }}
),

documents as (
    select * from ledger
    where reason is distinct from 'duplicate'
),

counts as (
    select
        mixture,
        version,
        copies,
        count(*) as num_documents,
        sum(num_tokens) as num_tokens
    from documents
    group by mixture, version, copies
),

-- From 0 to the most copies that any document has, without gaps.
bars as (
    select
        mixture,
        version,
        unnest(range(max(copies) + 1)) as copies
    from counts
    group by mixture, version
),

histogram as (
    select
        bars.mixture,
        bars.version,
        bars.copies,
        coalesce(counts.num_documents, 0) as num_documents,
        coalesce(counts.num_tokens, 0) as num_tokens
    from bars
    left join counts
        on
            bars.mixture = counts.mixture
            and bars.version = counts.version
            and bars.copies = counts.copies
)

select
    mixture,
    version,
    cast(copies as integer) as copies,
    cast(num_documents as bigint) as num_documents,
    num_documents / sum(num_documents) over corpus as share_of_documents,
    cast(copies * num_documents as bigint) as num_draws,
    cast(copies * num_tokens as bigint) as drawn_tokens,
    coalesce(copies * num_tokens / nullif(sum(copies * num_tokens) over corpus, 0), 0.0)
        as share_of_drawn_tokens
from histogram
window corpus as (partition by mixture, version)
