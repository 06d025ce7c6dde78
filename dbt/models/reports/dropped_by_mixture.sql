with

ledger as (
    select * from {{ ref('stg_ledger') }}
),

sources as (
    select
        mixture,
        version,
        source,
        count(*) as num_documents,
        sum(num_tokens) as num_tokens,
        {{ tallies_by_fate() }},
        {{ token_mean('quality', 'copies * num_tokens', 'copies > 0') }} as mean_quality_drawn,
        {{ token_mean('quality', 'num_tokens', "reason = 'not_drawn'") }} as mean_quality_not_drawn,
        {{ token_mean('diversity', 'copies * num_tokens', 'copies > 0') }} as mean_diversity_drawn,
        {{ token_mean('diversity', 'num_tokens', "reason = 'not_drawn'") }}
            as mean_diversity_not_drawn
    from ledger
    group by mixture, version, source
)

select
    mixture,
    version,
    source,
    cast(num_documents as bigint) as num_documents,
    cast(num_documents_drawn as bigint) as num_documents_drawn,
    cast(num_documents_not_drawn as bigint) as num_documents_not_drawn,
    cast(num_duplicates as bigint) as num_duplicates,
    cast(num_documents_excluded as bigint) as num_documents_excluded,
    cast(num_tokens as bigint) as num_tokens,
    cast(num_tokens_drawn as bigint) as num_tokens_drawn,
    cast(num_tokens_not_drawn as bigint) as num_tokens_not_drawn,
    cast(num_duplicate_tokens as bigint) as num_duplicate_tokens,
    cast(num_tokens_excluded as bigint) as num_tokens_excluded,
    mean_quality_drawn,
    mean_quality_not_drawn,
    mean_diversity_drawn,
    mean_diversity_not_drawn
from sources
