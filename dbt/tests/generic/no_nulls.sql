{# No value is null, but in the columns that may be. #}
{% test no_nulls(model, may_be_null=[]) %}

    {% set columns = adapter.get_columns_in_relation(model) if execute else [] %}
    select *
    from {{ model }}
    where
        false
        {%- for column in columns if column.name not in may_be_null %}
        or {{ adapter.quote(column.name) }} is null
        {%- endfor %}

{% endtest %}
