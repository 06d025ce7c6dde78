{# A count, added up over all rows, is the number of rows of another table. #}
{% test sums_to_rows_of(model, count, of, weight="1") %}

    with

    ours as (
        select coalesce(sum({{ count }}), 0) as num_rows from {{ model }}
    ),

    theirs as (
        select coalesce(sum({{ weight }}), 0) as num_rows from {{ of }}
    )

    select
        ours.num_rows as num_counted,
        theirs.num_rows
    from ours
    cross join theirs
    where ours.num_rows != theirs.num_rows

{% endtest %}
