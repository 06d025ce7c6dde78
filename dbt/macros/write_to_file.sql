{#
    Write a report model's file; stands in for the macro of the same name in dbt-duckdb.

    Rows stand in the order of the grain. dbt-duckdb puts a row of nulls into an empty table before
    it is written; it is left out here, since `samplemix query` would show it. The first column
    belongs to the grain and is never null otherwise.
#}
{% macro write_to_file(relation, location, options) %}
    {% set first = adapter.get_columns_in_relation(relation) | first %}
    {% call statement('write_to_file') %}
        copy (
            select * from {{ relation }}
            where {{ adapter.quote(first.column) }} is not null
            order by all
        ) to '{{ adapter.escape_sql_string(location) }}' ({{ options }})
    {% endcall %}
{% endmacro %}
