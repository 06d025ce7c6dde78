{# No two rows are of one grain, and no part of the grain is null. #}
{% test unique_grain(model, columns) %}

    select
        {{ columns | join(', ') }},
        count(*) as num_rows
    from {{ model }}
    group by {{ columns | join(', ') }}
    having num_rows > 1{% for column in columns %} or {{ column }} is null{% endfor %}

{% endtest %}
