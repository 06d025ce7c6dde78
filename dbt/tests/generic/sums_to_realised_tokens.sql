{# Tokens drawn, added up over the rows of a mixture, are the tokens that its manifest says. #}
{% test sums_to_realised_tokens(model, column_name) %}

    with

    drawn as (
        select
            mixture,
            version,
            sum({{ column_name }}) as drawn_tokens
        from {{ model }}
        group by mixture, version
    ),

    mixtures as (
        select * from {{ ref('stg_mixtures') }}
        where is_current
    )

    select
        mixtures.mixture,
        mixtures.version,
        mixtures.realised_tokens,
        drawn.drawn_tokens
    from mixtures
    left join drawn
        on
            mixtures.mixture = drawn.mixture
            and mixtures.version = drawn.version
    where mixtures.realised_tokens is distinct from drawn.drawn_tokens

{% endtest %}
