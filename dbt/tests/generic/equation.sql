{# The equation holds in every row. #}
{% test equation(model, holds) %}

    select *
    from {{ model }}
    where not coalesce({{ holds }}, false)

{% endtest %}
