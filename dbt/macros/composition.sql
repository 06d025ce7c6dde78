{# What is counted of each group of a mixture: its documents, and what is drawn of them. #}
{% macro composition_counts() %}
        count(*) as num_documents,
        sum(num_tokens) as num_tokens,
        count(*) filter (where copies > 0) as num_documents_drawn,
        sum(copies) as num_draws,
        sum(copies * num_tokens) as drawn_tokens
{%- endmacro %}


{#
    The columns of a composition, before and after, from its counts. `corpus` is a window over the
    groups of one mixture. Where nothing is drawn, every share after is 0.
#}
{% macro composition_columns() %}
    cast(num_documents as bigint) as num_documents,
    cast(num_tokens as bigint) as num_tokens,
    num_tokens / sum(num_tokens) over corpus as share_before,
    cast(num_documents_drawn as bigint) as num_documents_drawn,
    cast(num_draws as bigint) as num_draws,
    cast(drawn_tokens as bigint) as drawn_tokens,
    coalesce(drawn_tokens / nullif(sum(drawn_tokens) over corpus, 0), 0.0) as share_after,
    coalesce(drawn_tokens / nullif(sum(drawn_tokens) over corpus, 0), 0.0)
    / nullif(num_tokens / sum(num_tokens) over corpus, 0.0) as retention_ratio
{%- endmacro %}
