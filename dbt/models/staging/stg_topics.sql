with

topics as (
    select * from {{ source('lake', 'topics') }}
)

select
    topic,
    name as topic_name
from topics
