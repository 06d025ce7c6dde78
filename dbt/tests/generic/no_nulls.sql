{# No value is null, but in the columns that may be. #}
{% test no_nulls(model, may_be_null=[]) %}

    {% set conditions = ['false'] %}
    {%- for column in (adapter.get_columns_in_relation(model) if execute else []) -%}
        {%- if column.name not in may_be_null -%}
            {%- do conditions.append(adapter.quote(column.name) ~ ' is null') -%}
        {%- endif -%}
    {%- endfor %}
    select *
    from {{ model }}
    where {{ conditions | join(' or ') }}

{% endtest %}
