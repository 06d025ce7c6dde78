with

ledger as (
    select * from {{ ref('stg_ledger') }}
),

mixtures as (
    select * from {{ ref('stg_mixtures') }}
),

totals as (
    select
        mixture,
        version,
        count(*) as num_documents,
        {{ tallies_by_fate() }},
        sum(copies) as num_draws,
        sum(copies * num_tokens) as drawn_tokens,
        {{ token_mean('quality', 'num_tokens', "reason is distinct from 'duplicate'") }}
            as mean_quality_before,
        {{ token_mean('quality', 'copies * num_tokens', 'copies > 0') }} as mean_quality_after,
        {{ token_mean('diversity', 'num_tokens', "reason is distinct from 'duplicate'") }}
            as mean_diversity_before,
        {{ token_mean('diversity', 'copies * num_tokens', 'copies > 0') }} as mean_diversity_after
    from ledger
    group by mixture, version
)

select
    totals.mixture,
    totals.version,
    mixtures.made_at,
    mixtures.budget_tokens,
    cast(totals.drawn_tokens as bigint) as drawn_tokens,
    totals.drawn_tokens / mixtures.budget_tokens as share_of_budget,
    cast(totals.num_draws as bigint) as num_draws,
    cast(totals.num_documents as bigint) as num_documents,
    cast(totals.num_documents_drawn as bigint) as num_documents_drawn,
    cast(totals.num_documents_not_drawn as bigint) as num_documents_not_drawn,
    cast(totals.num_duplicates as bigint) as num_duplicates,
    cast(totals.num_documents_excluded as bigint) as num_documents_excluded,
    cast(
        totals.num_tokens_drawn + totals.num_tokens_not_drawn + totals.num_tokens_excluded as bigint
    ) as corpus_tokens,
    totals.mean_quality_before,
    totals.mean_quality_after,
    totals.mean_diversity_before,
    totals.mean_diversity_after
from totals
inner join mixtures
    on
        totals.mixture = mixtures.mixture
        and totals.version = mixtures.version
where mixtures.is_current
