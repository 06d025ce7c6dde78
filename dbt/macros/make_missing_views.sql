{#
    Make the staging views that this build does not make itself.

    The database is new in every run, so that a build of one model would not find the views that it
    reads. Staging models read sources only, so that their text can be rendered here.
#}
{% macro make_missing_views() %}
    {% if execute %}
        {% for node in graph.nodes.values() %}
            {% if
                node.resource_type == 'model'
                and node.config.materialized in ('view', 'table')
                and node.unique_id not in selected_resources
            %}
                {% do run_query(
                    'create or replace view ' ~ node.relation_name ~ ' as ' ~ render(node.raw_code)
                ) %}
            {% endif %}
        {% endfor %}
    {% endif %}
{% endmacro %}
