{# A value never falls from one row of its group to the next. #}
{% test never_falls(model, column_name, over, along) %}

    select *
    from {{ model }}
    qualify {{ column_name }} < lag({{ column_name }}) over (
        partition by {{ over | join(', ') }} order by {{ along }}
    )

{% endtest %}
