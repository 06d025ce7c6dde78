{#
    Shares sum to 1 over the rows of each mixture, to within rounding. Where nothing was drawn,
    shares of what was drawn are all 0.
#}
{% test sums_to_one(model, column_name) %}

    select
        mixture,
        version,
        sum({{ column_name }}) as total
    from {{ model }}
    group by mixture, version
    having abs(total - 1) > 1e-9 and not (total = 0 and sum(drawn_tokens) = 0)

{% endtest %}
