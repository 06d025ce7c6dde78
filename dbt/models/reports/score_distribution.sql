with

scores as (
    select * from {{ source('lake', 'scores') }}
),

-- The score columns are found by name, so that a component of your own is among them.
wide as (
    select
        source,
        columns('^(bits_per_byte|perplexity|quality|diversity|.+_score)$')
    from scores
),

score_values as (
    select
        source,
        score,
        value
    from wide
    unpivot (value for score in (columns(* exclude (source))))
),

quantiles as (
    select
        source,
        score,
        count(*) as num_documents,
        round(favg(value), 6) as mean,
        unnest(range(11)) as decile,
        unnest(quantile_cont(value, [0, .1, .2, .3, .4, .5, .6, .7, .8, .9, 1])) as value
    from score_values
    group by source, score
)

select
    source,
    score,
    cast(decile as integer) as decile,
    value,
    cast(num_documents as bigint) as num_documents,
    mean
from quantiles
