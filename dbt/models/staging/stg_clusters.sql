with

clusters as (
    select * from {{ source('lake', 'clusters') }}
)

select
    cluster,
    name as cluster_name
from clusters
