with

mixtures as (
    select * from {{ source('lake', 'mixtures') }}
)

select
    name as mixture,
    version,
    made_at,
    budget_tokens,
    realised_tokens,
    is_current
from mixtures
