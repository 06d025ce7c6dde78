{# Documents and tokens of a ledger by what became of them; every row counts in exactly one. #}
{% macro tallies_by_fate() %}
        count(*) filter (where copies > 0) as num_documents_drawn,
        count(*) filter (where reason = 'not_drawn') as num_documents_not_drawn,
        count(*) filter (where reason = 'duplicate') as num_duplicates,
        count(*) filter (where reason not in ('not_drawn', 'duplicate')) as num_documents_excluded,
        coalesce(sum(num_tokens) filter (where copies > 0), 0) as num_tokens_drawn,
        coalesce(sum(num_tokens) filter (where reason = 'not_drawn'), 0) as num_tokens_not_drawn,
        coalesce(sum(num_tokens) filter (where reason = 'duplicate'), 0) as num_duplicate_tokens,
        coalesce(sum(num_tokens) filter (where reason not in ('not_drawn', 'duplicate')), 0)
            as num_tokens_excluded
{%- endmacro %}


{#
    A mean over tokens of the rows that match; null where none does. It is rounded, since the last
    digit of a sum of fractions depends on the order of the rows.
#}
{% macro token_mean(column, tokens, condition) -%}
    round(
            fsum({{ column }} * {{ tokens }}) filter (where {{ condition }})
            / sum({{ tokens }}) filter (where {{ condition }} and {{ column }} is not null),
            6
        )
{%- endmacro %}
